"""The images and their roles: folders and lists, groups, the few-shot split, batches."""
