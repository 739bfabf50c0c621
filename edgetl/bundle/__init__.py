"""What ships: compiled from a pivot, written with its digests, read with suspicion, replayed and published."""
