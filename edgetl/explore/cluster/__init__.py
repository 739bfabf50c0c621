"""Groups unlabeled images and proposes which to label next."""
