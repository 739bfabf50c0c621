"""Classifiers over cached features, one per file; the table of them is `table.py`."""
