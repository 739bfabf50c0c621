"""The same picture twice: equal, encoded again, resized, mirrored, turned or trimmed."""
