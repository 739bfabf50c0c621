"""Quantizes networks to INT8: calibration, quantization-aware training, and the choice between them."""
