"""edgetl: turns a few labeled images into proven bundles for edge hardware."""

__version__ = "0.1.0"
