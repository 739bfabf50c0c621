"""Language models as bundles: built and proven from a decoder's folder, run with their cache."""
