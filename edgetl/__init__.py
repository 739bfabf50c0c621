"""edgetl: turns a few labeled examples into proven bundles for edge hardware."""

__version__ = "0.1.0"
