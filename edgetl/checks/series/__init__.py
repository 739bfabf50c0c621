"""What is checked of windows of series before training."""
