"""Files: read strictly and within bounds, with one-line errors; written so that a kill loses nothing."""
