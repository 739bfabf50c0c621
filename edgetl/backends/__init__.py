"""One toolchain per module, behind one table: compile, open, infer, and report where each operator ran."""
