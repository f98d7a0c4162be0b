"""Memory straight from the system."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pyembed.memory import LARGE_PAGE, anonymous_memory

_SMAPS = Path("/proc/self/smaps")


def mapping_of(address: int) -> tuple[str, set[str]]:
    """The permissions and the kernel's flags of the mapping that holds an address."""
    permissions = ""
    for line in _SMAPS.read_text().splitlines():
        first, *rest = line.split()
        begin, dash, end = first.partition("-")
        if dash and ":" not in first:
            permissions = rest[0] if int(begin, 16) <= address < int(end, 16) else ""
        elif permissions and first == "VmFlags:":
            return permissions, set(rest)
    raise AssertionError(f"no mapping holds address {address:#x}")


@pytest.mark.skipif(not _SMAPS.exists(), reason="the kernel does not tell what it maps")
@pytest.mark.skipif(not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="a kernel without large pages")
@pytest.mark.parametrize(("large", "flag"), [(True, "hg"), (False, "nh")])
def test_memory_is_private_and_asks_for_its_pages(large: bool, flag: str) -> None:
    """Shared memory, which is what Python gives by default, has large pages only where the administrator says so."""
    memory = np.frombuffer(anonymous_memory(8 * LARGE_PAGE, large_pages=large), np.uint8)
    permissions, flags = mapping_of(memory.ctypes.data + 4 * LARGE_PAGE)
    assert permissions == "rw-p"
    assert flag in flags


@pytest.mark.parametrize("large", [True, False])
def test_memory_is_zero_and_can_be_written_to(large: bool) -> None:
    memory = np.frombuffer(anonymous_memory(1_000_001, large_pages=large), np.uint8)
    assert len(memory) == 1_000_001
    assert not memory.any()
    memory[:] = 7
    assert (memory == 7).all()
