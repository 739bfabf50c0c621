"""Exact simulation of INT8 saturation on an x86 CPU without VNNI."""
