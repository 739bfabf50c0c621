"""Finds the same image twice: equal, re-encoded, resized, mirrored, turned or trimmed."""
