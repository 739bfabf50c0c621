"""The ONNX models that every backend compiles from: exported, cleaned, checked, proven equal to the torch network."""
