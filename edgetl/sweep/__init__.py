"""Many builds of one recipe with other settings: which are best in accuracy, latency and size."""
