"""Pretraining on examples without labels: a language model for texts, reconstruction for windows of series."""
