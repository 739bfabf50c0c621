"""Detectors in torch: what is trained, what is quantized, and the float decoder around it."""
