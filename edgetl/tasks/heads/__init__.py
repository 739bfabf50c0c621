"""Several classifications at once, one for each head on a backbone."""
