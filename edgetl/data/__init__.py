"""Which images there are and what each is for: folders and lists, groups, the few-shot split, batches."""
