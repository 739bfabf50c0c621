"""The user's files, validated: recipes, targets and calibration profiles."""
