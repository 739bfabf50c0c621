"""Reads files strictly and within bounds, with one-line errors; writes them so that a kill loses nothing."""
