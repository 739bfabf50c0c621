"""What ships, measured on its own runtime: accuracy, latency, cold start; and the gates that judge it."""
