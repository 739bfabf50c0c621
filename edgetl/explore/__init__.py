"""Before there is a recipe, or a choice of backbone: `edgetl new`, `select` and `cluster`."""
