"""The compiled extension: loads it, which puts its kernels in front of the PyTorch ones, or keeps why it could not."""

from __future__ import annotations

import importlib


def _load() -> str | None:
    try:
        importlib.import_module("pyembed._C")
    except ImportError as error:
        return str(error)
    return None


LOAD_ERROR: str | None = _load()
"""What went wrong; None where the extension is loaded."""
