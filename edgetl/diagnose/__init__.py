"""Explains and reduces the cost of INT8: `blame` (quantization sensitivity), `forecast` (saturation), repair."""
