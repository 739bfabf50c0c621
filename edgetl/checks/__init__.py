"""Checks of the images before training: leaks, copies, labels, drift, sizes."""
