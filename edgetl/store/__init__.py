"""Stage results and caches: kept by the digest of all they depend on, and checked when they are read."""
