"""Checks of texts before training: copies, letters, scripts, what is cut off, drift."""
