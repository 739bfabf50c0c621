"""One class per example: heads, folds, accuracy, confusion."""
