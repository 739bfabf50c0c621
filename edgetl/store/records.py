"""Names of the records that stages write for later ones; in a separate module, because some readers must not load
torch."""

from __future__ import annotations

NETWORK_STATE, NETWORK_SPEC = "network.safetensors", "network.json"
"""An adapted network: of the adapt stage and of the surgery stage."""
REFERENCE_LOGITS = "reference.safetensors"
"""Logits that compiled networks are compared with: of the pivot, and of the quantize stage."""
RUN_RECORD = "run.json"
"""Values that differ between equal runs: seconds, threads. Stored, but not part of the result's digest."""
