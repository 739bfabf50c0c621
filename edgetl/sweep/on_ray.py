"""Steps of trials on a Ray cluster, whose machines share the output folder and the data under the same paths.

A build takes one CPU of any node. A measurement takes all CPUs of a node that offers the resource `edgetl_measure`, so
that Ray runs nothing else there. Steps and answers travel as JSON texts; how Ray carries them is its own business.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from types import TracebackType
from typing import Any

from pydantic import TypeAdapter

from edgetl.errors import EdgetlError, UsageError
from edgetl.files.text import one_line, shortened
from edgetl.sweep.step import Answer, Step, take

RESOURCE = "edgetl_measure"
_CONNECT_S = 5.0
_PASSED_ON = (
    *("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OPENVINO_TELEMETRY_DISABLED", "HF_HUB_DISABLE_TELEMETRY"),
    *("DO_NOT_TRACK", "ORT_DISABLE_TELEMETRY", "TMPDIR"),
)


class RayPool:
    """The cluster at `address`, HOST:PORT or `auto` for one that runs on this machine.

    Raises UsageError for another address, EdgetlError if the cluster cannot be reached or no node may measure.
    """

    def __init__(self, address: str) -> None:
        _refuse_unreachable(address)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        self._ray, self._running = ray, dict[Any, Step]()
        self._stdout = redirect_stdout(sys.stderr)  # Ray prints events of its nodes; stdout has our results only
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL, include_dashboard=None)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            reason = shortened(one_line(str(error)), 200)
            raise EdgetlError(f"--ray {address}: no Ray cluster can be reached there: {reason}") from error
        self._measuring_node()
        self._task = ray.remote(_take)
        self._environment = {"OMP_NUM_THREADS": "1"} | {
            name: os.environ[name] for name in _PASSED_ON if name in os.environ
        }

    def __enter__(self) -> RayPool:
        self._stdout.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ray.shutdown()
        self._stdout.__exit__(kind, error, at)

    @property
    def slots(self) -> int:
        """CPUs of the nodes that are alive now."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def submit(self, step: Step) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        options: dict[str, Any] = {"num_cpus": 1, "max_retries": 0}
        if step.kind == "measure":
            node = self._measuring_node()
            options["num_cpus"] = node["Resources"].get("CPU", 1)
            options["resources"] = {RESOURCE: 1}
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        text = TypeAdapter(Step).dump_json(step).decode()
        self._running[self._task.options(**options).remote(text, self._environment)] = step

    def wait(self) -> Sequence[tuple[Step, Answer]]:
        ready, _ = self._ray.wait(list(self._running), num_returns=1)
        return [(self._running.pop(reference), self._answer(reference)) for reference in ready]

    def _answer(self, reference: Any) -> Answer:
        try:
            return TypeAdapter(Answer).validate_json(self._ray.get(reference))
        except self._ray.exceptions.RayError as error:  # its worker or its node died
            return Answer("lost", f"lost by Ray ({type(error).__name__})")

    def _measuring_node(self) -> Mapping[str, Any]:
        nodes: list[Mapping[str, Any]] = [
            node for node in self._ray.nodes() if node["Alive"] and node["Resources"].get(RESOURCE)
        ]
        if not nodes:
            raise EdgetlError(
                "--ray: no node of the cluster may measure latency; on the machine for it start Ray with "
                f"--resources='{{\"{RESOURCE}\": 1}}'"
            )
        return min(nodes, key=lambda node: str(node["NodeID"]))


def _refuse_unreachable(address: str) -> None:
    """Ray itself would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(f"--ray {address}: expected HOST:PORT, or auto for a cluster that runs on this machine")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise EdgetlError(f"--ray {address}: no Ray cluster can be reached there: {why}") from error


def _take(text: str, environment: Mapping[str, str]) -> str:
    """In a process of Ray's."""
    os.environ.update(environment)  # before torch is imported
    return TypeAdapter(Answer).dump_json(take(TypeAdapter(Step).validate_json(text))).decode()
