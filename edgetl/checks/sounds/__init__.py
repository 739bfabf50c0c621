"""Checks of clips of sound before training: copies, level, clipping, what the window cuts off, drift."""
