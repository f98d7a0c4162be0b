"""The CUDA tools of this machine, or of PyPI's packages in the environment that runs this."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from functools import cache
from pathlib import Path

_PYPI = Path(sysconfig.get_path("platlib")) / "nvidia" / "cu13" / "bin"
INSTALL = "pip install '.[nvcc,gates]'"


@cache
def find(tool: str) -> str | None:
    """Where `tool` is: in CUDA_HOME, on PATH, or in PyPI's packages; None: nowhere."""
    home = os.environ.get("CUDA_HOME")
    folders = [str(Path(home) / "bin")] if home else []
    return shutil.which(tool, path=os.pathsep.join([*folders, os.environ.get("PATH", ""), str(_PYPI)]))


def nvcc_version() -> str:
    """For example "13.0.88". ptxas, which decides on registers, comes with nvcc and has its version."""
    return _version("nvcc")


def nvdisasm_version() -> str:
    """Its versions are other than nvcc's, since PyPI has few; what it prints of a given binary is the same."""
    return _version("nvdisasm")


def _version(tool: str) -> str:
    path = find(tool)
    assert path is not None, f"{tool} is missing: {INSTALL}"
    said = subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"V(\d+\.\d+\.\d+)", said)
    assert found, f"{tool} --version: expected V and three numbers, found {said!r}"
    return found[1]
