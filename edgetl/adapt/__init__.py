"""From a pretrained backbone and a few shots to a network: heads and fine-tuning, judged on held-out shots."""
