"""Tools for the time before a recipe or a choice of backbone: `edgetl new`, `select` and `cluster`."""
