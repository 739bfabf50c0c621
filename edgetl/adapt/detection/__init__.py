"""Adapts a detector to a few shots, evaluated on held-out ones."""
