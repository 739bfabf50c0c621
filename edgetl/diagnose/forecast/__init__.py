"""How INT8 saturation on an x86 CPU without VNNI changes a network, simulated exactly."""
