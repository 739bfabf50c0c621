"""Ranks backbones for the images and the target, without training them."""
