"""Compiles the CUDA kernels for every architecture, what has not been since its sources last changed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from cuda_gates.toolkit import INSTALL, find, nvcc_version
from pyembed.selftest.architectures import ARCHITECTURES

ROOT = Path(__file__).resolve().parents[2]
_CSRC = ROOT / "csrc"
_BUILD = ROOT / "build" / "cuda-gates"
_FLAGS = ("-O3", "-std=c++17", "-Werror", "all-warnings", f"-I{_CSRC}")
_LINES = 20
"""Of what nvcc says of an error; templates make it say the same again and again."""
NEWEST = max(ARCHITECTURES)


class CompileError(RuntimeError):
    """nvcc is missing or refused a source; the message holds what it said."""


@dataclass(frozen=True)
class Compiled:
    """One source for one architecture."""

    source: str
    sm: int
    code: Path
    """Machine code, or PTX for any later architecture."""
    messages: str
    """What ptxas said of each kernel."""


def sources() -> list[str]:
    """The files that nvcc compiles, relative to the root."""
    listed: list[str] = json.loads((_CSRC / "sources.json").read_text())["cuda_kernels"]
    return listed


def cubins() -> list[Compiled]:
    """Machine code of every source for every architecture."""
    return _compile_all([(source, sm, "cubin") for source, sm in product(sources(), ARCHITECTURES)])


def intermediate() -> list[Compiled]:
    """PTX of every source, which architectures to come are served with."""
    return _compile_all([(source, NEWEST, "ptx") for source in sources()])


def _compile_all(wanted: list[tuple[str, int, str]]) -> list[Compiled]:
    if find("nvcc") is None:
        raise CompileError(f"nvcc: expected it in CUDA_HOME, on PATH or from PyPI, found none: {INSTALL}")
    _BUILD.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(lambda one: _compile(*one), wanted))


def _compile(source: str, sm: int, kind: str) -> Compiled:
    code = _BUILD / f"{Path(source).stem}.{sm}.{kind}"
    messages, needed, stamp = (code.with_suffix(f".{kind}.{suffix}") for suffix in ("log", "d", "state"))
    if not (stamp.exists() and stamp.read_text() == _state(needed)):
        stamp.unlink(missing_ok=True)
        architecture = f"compute_{sm}" if kind == "ptx" else f"sm_{sm}"
        outputs = ["-o", str(code), "-MD", "-MF", str(needed)]
        said = subprocess.run(
            [str(find("nvcc")), f"-{kind}", f"-arch={architecture}", *_FLAGS, "-Xptxas", "-v", source, *outputs],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        if said.returncode:
            first = "\n".join((said.stdout + said.stderr).splitlines()[:_LINES])
            raise CompileError(f"nvcc refused {source} for {architecture}:\n{first}")
        messages.write_text(said.stderr)
        stamp.write_text(_state(needed))
    return Compiled(source, sm, code, messages.read_text())


def _state(needed: Path) -> str:
    """A digest of all that the code depends on; needed: nvcc's list of the files that it read."""
    digest = hashlib.sha256(repr((nvcc_version(), _FLAGS)).encode())
    for name in needed.read_text().replace("\\\n", " ").partition(":")[2].split():
        path = (ROOT / name).resolve()
        if path.is_relative_to(_CSRC):
            digest.update(path.read_bytes() if path.exists() else b"gone")
    return digest.hexdigest()
