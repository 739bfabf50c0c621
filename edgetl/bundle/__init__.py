"""Bundles: compiled from a pivot, written with digests, checked when read, replayed, published."""
