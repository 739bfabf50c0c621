"""What the report shows of a detector: its scores, curves, confusion, images and training."""
