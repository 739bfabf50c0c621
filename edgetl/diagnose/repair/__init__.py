"""Mixed-precision search: rebuilds a build that misses its accuracy gate with its costliest layers in float."""
