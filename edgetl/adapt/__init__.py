"""Adapts a pretrained backbone to a few shots: heads and fine-tuning, evaluated on held-out shots."""
