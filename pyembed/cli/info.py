"""`pyembed info`: the installation, or a vector file."""

from __future__ import annotations

import argparse
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pyembed._version import __version__
from pyembed.cli.exits import ExitCode
from pyembed.cli.imports import quick_imports
from pyembed.cli.options import add_json, load_vectors, print_json
from pyembed.config import usable_cores
from pyembed.vectors.formats import detect
from pyembed.vectors.rows import norms_of

_FIRST_WORDS = 10


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "info",
        help="what is installed and in use, or what a vector file holds",
        description="Print versions, kernels and devices; or, of VECTORS, format, size and content.",
        allow_abbrev=False,
    )
    parser.add_argument("vectors", type=Path, nargs="?", metavar="VECTORS", help="vector file")
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    facts = _installation() if arguments.vectors is None else _vector_file(arguments.vectors)
    if arguments.json:
        print_json(facts)
        return ExitCode.OK
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):<{width}}  {_text(value)}")
    return ExitCode.OK


def _installation() -> dict[str, Any]:
    with quick_imports():  # of torch
        from pyembed import ops

    status = ops.status()
    return {
        "pyembed": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in ("torch", "numpy", "numba")},
        "compiled_kernels": status.native,
        "why_not": status.reason,
        "simd": status.simd,
        "bfloat16_products": status.bfloat16_products,
        "cuda_kernels": status.cuda_kernels,
        "threads": usable_cores(),
        "cuda_devices": _cuda_devices() if status.cuda else [],
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cuda_devices() -> list[str]:
    import torch

    return [torch.cuda.get_device_name(device) for device in range(torch.cuda.device_count())]


def _vector_file(path: Path) -> dict[str, Any]:
    vectors = load_vectors(path)
    norms = norms_of(vectors.vectors)
    return {
        "file": str(path),
        "format": detect(path).name,
        "bytes": _bytes(path),
        "words": len(vectors),
        "dimensions": vectors.vector_size,
        "dtype": str(vectors.vectors.dtype),
        "counts": vectors.counts is not None,
        "first_words": vectors.index_to_key[:_FIRST_WORDS],
        "norm_smallest": float(norms.min()) if len(norms) else None,
        "norm_mean": float(norms.mean()) if len(norms) else None,
        "norm_largest": float(norms.max()) if len(norms) else None,
        **({"metadata": vectors.metadata} if vectors.metadata else {}),
    }


def _bytes(path: Path) -> int:
    """The size of a file, or of those in a folder."""
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{name}={item}" for name, item in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return "-" if value is None else str(value)
