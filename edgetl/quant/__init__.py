"""From float to INT8: ranges by calibration, quantization-aware training, and which of the two a network needs."""
