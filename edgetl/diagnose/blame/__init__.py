"""Which layers INT8 costs most in: quantization sensitivity, measured layer by layer."""
