"""A Ray cluster of two nodes with one CPU each, in a process of its own: prints its address, and at every line on stdin
kills the second node. Ends when stdin is closed."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"


def main() -> None:
    # sockets need short paths
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as place:
        os.environ["RAY_TMPDIR"] = place
        from ray.cluster_utils import Cluster

        Path(place, "ray").mkdir()
        node = {"num_cpus": 1, "resources": {"edgetl_measure": 1}, "object_store_memory": 100 << 20}
        cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        try:
            second = cluster.add_node(**node)
            cluster.wait_for_nodes()
            print(cluster.address, flush=True)
            for _ in sys.stdin:
                cluster.remove_node(second, allow_graceful=False)
        finally:
            cluster.shutdown()


if __name__ == "__main__":
    main()
