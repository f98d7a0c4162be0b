"""How each kernel is launched, where that decides how many warps run at a time: with D = 128, window 5, K = 5."""

from __future__ import annotations

import re
from typing import NamedTuple

from pyembed.selftest.gpu_costs import Setting, shared_bytes

_WARP_BLOCK = re.compile(r"train_windows<(?P<model>Skipgram|Cbow)Window, (?P<element>\w+), (?P<write_back>\w+)>")
_MODELS = {"Skipgram": "skipgram", "Cbow": "cbow"}
_ELEMENTS = {"float": "float32", "BFloat16": "bfloat16"}


class Launch(NamedTuple):
    """One block."""

    threads: int
    shared_bytes: int
    """Dynamic shared memory."""


def launch_of(kernel: str) -> Launch:
    """By the kernel's readable name."""
    if found := _WARP_BLOCK.fullmatch(kernel):
        setting = Setting(
            model=_MODELS[found["model"]],
            table_dtype=_ELEMENTS[found["element"]],
            write_back=found["write_back"],
        )
        return Launch(32, shared_bytes(setting))
    return Launch(128 if kernel.startswith("train_exactly<") else 256, 0)
