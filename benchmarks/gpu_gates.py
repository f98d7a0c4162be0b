"""Compiles the CUDA kernels for every architecture and compares what they take with the table of the last commit.

    python benchmarks/gpu_gates.py            # compare; any spill fails, and any change of the table
    python benchmarks/gpu_gates.py --write    # write the table anew

Needs nvcc and nvdisasm, of a CUDA toolkit or of PyPI (the extras `nvcc` and `gates`); no GPU.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from pathlib import Path

from cuda_gates.compiled import CompileError, cubins, intermediate
from cuda_gates.table import page, spills
from cuda_gates.toolkit import INSTALL, find, nvcc_version

TABLE = Path(__file__).parent / "gpu_kernels.md"
_WRITE = "python benchmarks/gpu_gates.py --write"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name} anew")
    arguments = parser.parse_args()
    for tool in ("nvcc", "nvdisasm"):
        if find(tool) is None:
            print(f"{tool}: expected it in CUDA_HOME, on PATH or from PyPI, found none: {INSTALL}", file=sys.stderr)
            return 2
    try:
        compiled = cubins()
        intermediate()
    except CompileError as error:
        print(error, file=sys.stderr)
        return 1
    found, troubles = page(compiled), spills(compiled)
    if arguments.write:
        TABLE.write_text(found)
    else:
        troubles += _changes(TABLE.read_text(), found)
    print("\n".join(troubles) or f"{TABLE.name} holds; no spills", file=sys.stderr)
    return 1 if troubles else 0


def _changes(committed: str, found: str) -> list[str]:
    """How the table differs, if this toolkit is the one that it was made with."""
    if not re.search(rf"nvcc {re.escape(nvcc_version())};", committed):
        print(f"{TABLE.name} is of another nvcc than {nvcc_version()}: only spills are compared", file=sys.stderr)
        return []
    lines = [part.splitlines() for part in (committed, found)]
    differences = list(difflib.unified_diff(*lines, "committed", "compiled now", lineterm="", n=0))
    return [*differences, f"{TABLE.name} has changed; if you meant it: {_WRITE}"] if differences else []


if __name__ == "__main__":
    sys.exit(main())
