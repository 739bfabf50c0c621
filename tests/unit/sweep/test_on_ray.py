"""Addresses of Ray clusters."""

from __future__ import annotations

import socket

import pytest

from edgetl.errors import EdgetlError, UsageError
from edgetl.sweep.on_ray import RayPool


@pytest.mark.parametrize("address", ["", "machine", "machine:", ":6379", "machine:port"])
def test_an_address_without_host_and_port_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="expected HOST:PORT, or auto"):
        RayPool(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_an_address_where_nothing_listens_is_refused_at_once(host: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        port = taken.getsockname()[1]
        with pytest.raises(EdgetlError, match="no Ray cluster can be reached there"):
            RayPool(f"{host}:{port}")


def test_a_port_that_is_no_port_is_refused() -> None:
    with pytest.raises(EdgetlError, match="no Ray cluster can be reached there"):
        RayPool("127.0.0.1:99999999")
