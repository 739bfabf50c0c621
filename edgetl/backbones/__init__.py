"""Pretrained networks: found, audited, loaded, described, frozen, and read for their features."""
