"""Surgery: replaces smooth activations and gates that are slow in INT8, then distills to regain accuracy."""
