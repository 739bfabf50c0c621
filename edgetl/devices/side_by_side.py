"""Several devices at once, each in a thread with its own connection."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from edgetl.devices.config import Device
from edgetl.devices.connection import LEAVE_S, Held, Ssh, held
from edgetl.errors import EdgetlError

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What a device gave, or the one line why not."""

    device: Device
    value: T | None
    error: str = ""


def on_each(devices: Sequence[Device], ssh: Ssh, work: Callable[[Held], T]) -> list[Outcome[T]]:
    """Hold every device and do `work` there. An interrupt ends all runs, cleans up there, and is raised again.

    Errors of one device leave the others alone.
    """
    stop = threading.Event()
    found: dict[str, Outcome[T] | BaseException] = {}

    def one(device: Device) -> None:
        try:
            with held(device, ssh, stop) as there:
                found[device.name] = Outcome(device, work(there))
        except EdgetlError as error:
            found[device.name] = Outcome(device, None, str(error))
        except BaseException as error:
            found[device.name] = error

    threads = [threading.Thread(target=one, args=(device,), daemon=True) for device in devices]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(0.2)
    finally:
        stop.set()
        for thread in threads:
            thread.join(LEAVE_S + 5)
    outcomes: list[Outcome[T]] = []
    for device in devices:
        outcome = found[device.name]
        if isinstance(outcome, BaseException):
            raise outcome
        outcomes.append(outcome)
    return outcomes
