"""What the user wrote, checked: recipes, targets and calibration profiles."""
