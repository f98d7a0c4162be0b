"""What each kernel takes of a multiprocessor, as ptxas tells it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from cuda_gates.compiled import Compiled

_ENTRY = re.compile(
    r"Compiling entry function '(?P<symbol>\w+)' for 'sm_(?P<sm>\d+)a?'.*?"
    r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.DOTALL,
)
_SHARED = re.compile(r"(\d+) bytes smem")
_WRITE_BACK = {"(WriteBack)0": "add", "(WriteBack)1": "store"}


@dataclass(frozen=True)
class Resources:
    """Of one kernel on one architecture."""

    symbol: str
    sm: int
    registers: int
    """Of a thread."""
    shared_bytes: int
    """Static shared memory of a block."""
    stack_bytes: int
    spilled_bytes: int
    """Written and read again for want of registers, by a thread."""


def resources(compiled: Compiled) -> list[Resources]:
    """Of every kernel in one file."""
    return [
        Resources(
            symbol=found["symbol"],
            sm=int(found["sm"]),
            registers=int(found["registers"]),
            shared_bytes=int(shared[1]) if (shared := _SHARED.search(found["rest"])) else 0,
            stack_bytes=int(found["stack"]),
            spilled_bytes=int(found["stores"]) + int(found["loads"]),
        )
        for found in _ENTRY.finditer(compiled.messages)
    ]


def readable(symbols: Iterable[str]) -> dict[str, str]:
    """What kernels are called in the sources, `skipgram<float, 2>`, without namespace, return type and parameters."""
    ordered = sorted(set(symbols))
    said = subprocess.run(["c++filt"], input="\n".join(ordered), check=True, capture_output=True, text=True).stdout
    return dict(zip(ordered, map(_short, said.splitlines()), strict=True))


def _short(name: str) -> str:
    name = name.replace("pyembed::", "").replace("(anonymous namespace)::", "")
    depth, end = 0, len(name)
    for index, letter in enumerate(name):
        depth += {"<": 1, ">": -1}.get(letter, 0)
        if letter == "(" and depth == 0:
            end = index
            break
    name = name[:end].removeprefix("void ")
    for value, word in _WRITE_BACK.items():
        name = name.replace(value, word)
    return re.sub(r"\((?:int|bool|unsigned int|long)\)", "", name).replace("> >", ">>")
