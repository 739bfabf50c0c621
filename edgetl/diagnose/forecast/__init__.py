"""What an x86 CPU without VNNI makes of an INT8 network: saturation, simulated exactly."""
