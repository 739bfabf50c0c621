"""What a network predicts, and how predictions are scored: one folder per task."""
