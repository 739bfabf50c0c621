"""A trained ONNX classifier of the user's own: checked, brought to one form, quantized and exported without torch."""
