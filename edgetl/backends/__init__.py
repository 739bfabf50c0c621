"""One toolchain per module, behind one table: compile, open, infer, and say where each operator ran."""
