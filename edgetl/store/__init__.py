"""Stage results and caches: stored under the digest of all their inputs, and checked when read."""
