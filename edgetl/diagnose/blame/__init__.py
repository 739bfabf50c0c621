"""Quantization sensitivity, measured layer by layer."""
