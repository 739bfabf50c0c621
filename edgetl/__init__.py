"""edgetl: few-shot images in, proven edge bundles out."""

__version__ = "0.1.0"
