"""Unlabeled images in groups, and which of them to label next."""
