"""What one multiprocessor of each CUDA architecture holds, and how many warps of a kernel that lets run at a time.

Limits: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability", and NVIDIA's cuda_occupancy.h,
against which a test checks `resident`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

WARP = 32
_REGISTERS = 1 << 16
_PARTITIONS = 4
_REGISTERS_AT_ONCE = 256
"""A warp's registers are given out in portions of this size."""


@dataclass(frozen=True)
class Architecture:
    """Limits of one multiprocessor."""

    sm: int
    """Compute capability, 75 for 7.5."""
    max_warps: int
    max_blocks: int
    shared_bytes: int
    """Shared memory of all blocks together, with the largest carve-out."""
    shared_portion: int
    """A block's shared memory is given out in portions of this many bytes."""
    reserved_bytes: int
    """Shared memory that each block loses to the system."""
    float_lanes: int
    """float32 multiply-adds a clock."""

    @property
    def name(self) -> str:
        return f"sm_{self.sm}"

    @property
    def block_shared_bytes(self) -> int:
        """The most that one block may have."""
        return self.shared_bytes - self.reserved_bytes


_KIB = 1 << 10
ARCHITECTURES = {
    architecture.sm: architecture
    for architecture in (
        Architecture(75, 32, 16, 64 * _KIB, 256, 0, 64),
        Architecture(80, 64, 32, 164 * _KIB, 128, _KIB, 64),
        Architecture(86, 48, 16, 100 * _KIB, 128, _KIB, 128),
        Architecture(89, 48, 24, 100 * _KIB, 128, _KIB, 128),
        Architecture(90, 64, 32, 228 * _KIB, 128, _KIB, 128),
        Architecture(100, 64, 32, 228 * _KIB, 128, _KIB, 128),
        Architecture(120, 48, 24, 100 * _KIB, 128, _KIB, 128),
    )
}
"""By compute capability: those that the kernels are compiled for."""


class Resident(NamedTuple):
    """What runs on one multiprocessor at the same time."""

    blocks: int
    warps: int
    share: float
    """Of the warps that the architecture could hold: what NVIDIA calls occupancy."""


def resident(architecture: Architecture, *, registers: int, threads: int, shared_bytes: int) -> Resident:
    """Blocks and warps of a kernel on one multiprocessor.

    Args:
        registers: of a thread, 1 to 255.
        threads: of a block, 1 to 1024.
        shared_bytes: of a block, static and dynamic together.
    """
    warps = -(-threads // WARP)
    of_a_warp = _round_up(registers * WARP, _REGISTERS_AT_ONCE)
    by_registers = _REGISTERS // _PARTITIONS // of_a_warp * _PARTITIONS // warps
    blocks = min(architecture.max_blocks, architecture.max_warps // warps, by_registers)
    if shared := _round_up(shared_bytes + architecture.reserved_bytes, architecture.shared_portion):
        blocks = min(blocks, architecture.shared_bytes // shared)
    return Resident(blocks, blocks * warps, blocks * warps / architecture.max_warps)


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step
