"""Measures builds on their own runtime (accuracy, latency, cold start) and judges the gates."""
