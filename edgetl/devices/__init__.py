"""Measuring, verifying and finishing bundles on other machines, over the user's own ssh."""
