"""A change of the code does not change what a build is made of, unless its commit says so."""

from __future__ import annotations

import pytest
from chain import Chain
from same_bytes import kind_of_cpu, record, records

pytestmark = pytest.mark.integration


def test_the_small_build_is_made_of_the_same_bytes_as_before(chain: Chain) -> None:
    kind = kind_of_cpu()
    if kind not in records():
        pytest.skip(f"no record of this kind of CPU and these tools ({kind}); tests/same_bytes.py makes one")
    assert record(chain.out) == records()[kind]
