"""What stages write for later ones, by name: in a file of its own, because some readers must not load torch."""

from __future__ import annotations

NETWORK_STATE, NETWORK_SPEC = "network.safetensors", "network.json"
"""An adapted network: of the adapt stage and of the surgery stage."""
RUN_RECORD = "run.json"
"""What differs between equal runs: seconds, threads. The store keeps it and leaves it out of the result's digest."""
