"""The page of Markdown that says what the kernels take of each architecture, and what of it has grown out of bounds."""

from __future__ import annotations

from itertools import groupby

from cuda_gates.compiled import Compiled
from cuda_gates.launches import launch_of
from cuda_gates.resources import Resources, readable, resources
from cuda_gates.sass import CLASSES, disassembled, loops
from cuda_gates.toolkit import nvcc_version
from pyembed.bench.table import table
from pyembed.selftest.architectures import ARCHITECTURES, resident

_LOOPS_OF = 90
"""The architecture whose loops are shown."""
_LOOPING = ("train_windows<", "train_pairs<Shape<1, 8, true>, 4, float>")
"""The kernels whose loops are shown: those that take the time."""
_ARITHMETIC = ("FFMA", "FADD/FMUL", "SHFL")
_FEW = 8

_HEAD = """# CUDA kernels, compiled and not run

Made by `python benchmarks/gpu_gates.py --write`, from nvcc {version}; other versions give other registers.
A cell is registers of a thread, and the warps that a multiprocessor runs at the same time with as many, of those that
it could hold (occupancy), at D = 128, window 5, K = 5. Spills and stack are bytes of a thread.
"""
_LOOP_HEAD = """
## Loops, on sm_{sm}

Instructions from a loop's first to the branch back, inner loops included once, by kind; of the kernels that take the
time, loops with at least {few} arithmetic instructions and shuffles.
"""


def page(cubins: list[Compiled]) -> str:
    """The whole page, the same text on every machine that has this version of nvcc."""
    found = [one for compiled in cubins for one in resources(compiled)]
    names = readable(one.symbol for one in found)
    found.sort(key=lambda one: (names[one.symbol], one.sm))
    shown = [one for one in cubins if one.sm == _LOOPS_OF]
    heads = (_HEAD.format(version=nvcc_version()), _LOOP_HEAD.format(sm=_LOOPS_OF, few=_FEW))
    return f"{heads[0]}\n{_resource_table(found, names)}\n{heads[1]}\n{_loop_table(shown, names)}\n"


def spills(cubins: list[Compiled]) -> list[str]:
    """A line for each kernel and architecture that has too few registers."""
    found = [one for compiled in cubins for one in resources(compiled) if one.spilled_bytes]
    names = readable(one.symbol for one in found) if found else {}
    return [f"{names[one.symbol]}, sm_{one.sm}: {one.spilled_bytes} bytes spilled" for one in found]


def _resource_table(found: list[Resources], names: dict[str, str]) -> str:
    heads = ["kernel", "threads", "shared", *(architecture.name for architecture in ARCHITECTURES.values())]
    rows = [[*heads, "spills", "stack"]]
    for name, each in groupby(found, key=lambda one: names[one.symbol]):  # of one kernel, symbols may differ by sm
        ones = list(each)
        launch = launch_of(name)
        shared = launch.shared_bytes + ones[0].shared_bytes
        cells = [name, str(launch.threads), f"{shared:,}", *(_cell(one, launch.threads, shared) for one in ones)]
        rows.append([*cells, str(max(one.spilled_bytes for one in ones)), str(max(one.stack_bytes for one in ones))])
    return table(rows)


def _cell(one: Resources, threads: int, shared: int) -> str:
    fit = resident(ARCHITECTURES[one.sm], registers=one.registers, threads=threads, shared_bytes=shared)
    return f"{one.registers}, {fit.warps} ({fit.share:.0%})"


def _loop_table(cubins: list[Compiled], names: dict[str, str]) -> str:
    rows = [["kernel", "depth", "all", *CLASSES]]
    by_name = {names[symbol]: found for one in cubins for symbol, found in loops(disassembled(one.code)).items()}
    for name, found in sorted(by_name.items()):
        for loop in found if name.startswith(_LOOPING) else ():
            if sum(loop.counts[kind] for kind in _ARITHMETIC) >= _FEW:
                rows.append([name, str(loop.depth), *(str(loop.counts[kind]) for kind in ("all", *CLASSES))])
    return table(rows)
