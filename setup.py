"""Builds the two extensions: `_C` (kernels behind torch ops) and `_text` (tokenise, count, encode).

Both are optional: where one does not compile the installation goes on without it and the package falls back to
PyTorch and Python. Set PYEMBED_REQUIRE_NATIVE=1 to make a failed compile an error, as the Makefile does, or
PYEMBED_BUILD_NATIVE=0 to leave both out.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from setuptools import Extension, setup

ROOT = Path(__file__).resolve().parent
SOURCES: dict[str, Any] = json.loads((ROOT / "csrc" / "sources.json").read_text())
# -w: warnings are the business of the CMake build, where each is an error.
COMPILE_FLAGS = ["-std=c++17", "-fvisibility=hidden", "-pthread", "-w", *SOURCES["compile_flags"]]
LINK_FLAGS = ["-pthread"]
HEADERS = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "csrc").rglob("*.h"))]
BUILD_INPUTS = [*HEADERS, "csrc/sources.json"]
"""What the sources need beside them: a change rebuilds, and a source distribution holds them."""


def torch_extension() -> Extension:
    """`pyembed._C`: LibTorch stable ABI and Python's limited API, one file for every torch and Python we support."""
    from torch.utils.cpp_extension import CppExtension

    extension: Extension = CppExtension(
        "pyembed._C",
        SOURCES["kernels"] + SOURCES["binding"],
        depends=BUILD_INPUTS,
        include_dirs=[str(ROOT / "csrc")],  # absolute: ninja runs in the build folder
        define_macros=[("TORCH_TARGET_VERSION", SOURCES["torch_target_version"])],
        extra_compile_args={"cxx": COMPILE_FLAGS},
        extra_link_args=LINK_FLAGS,
        py_limited_api=True,
    )
    return extension


def text_extension() -> Extension:
    """`pyembed._text`: plain C++ and pybind11, no torch."""
    import pybind11

    return Extension(
        "pyembed._text",
        SOURCES["text"],
        depends=BUILD_INPUTS,
        include_dirs=[str(ROOT / "csrc"), pybind11.get_include()],
        extra_compile_args={"cxx": COMPILE_FLAGS},
        extra_link_args=LINK_FLAGS,
        language="c++",
    )


def native_build() -> dict[str, Any]:
    """The keyword arguments of setup() that build the extensions; none where they are not wanted or cannot be built."""
    if os.environ.get("PYEMBED_BUILD_NATIVE", "1") == "0":
        return {}
    try:
        from torch.utils.cpp_extension import BuildExtension

        extensions = [torch_extension(), text_extension()]
    except ImportError as error:
        give_up_on("the extensions", error)
        return {}

    class OptionalBuildExtension(BuildExtension):
        """Builds each extension in a folder of its own and lets the installation survive a failure."""

        build_temp: str

        def run(self) -> None:
            try:
                super().run()
            except Exception as error:  # a missing compiler surfaces as any of several unrelated types
                give_up_on("the extensions", error)

        def build_extension(self, ext: Extension) -> None:
            # Extensions that share a build folder share ninja's files, and each build then undoes the other.
            shared = self.build_temp
            self.build_temp = str(Path(shared) / ext.name)
            try:
                super().build_extension(ext)
            except Exception as error:
                give_up_on(ext.name, error)
            finally:
                self.build_temp = shared

    for extension in extensions:
        extension.optional = True  # setuptools then copies what was built and misses nothing else
    return {"ext_modules": extensions, "cmdclass": {"build_ext": OptionalBuildExtension}}


def give_up_on(what: str, error: Exception) -> None:
    if os.environ.get("PYEMBED_REQUIRE_NATIVE") == "1":
        raise SystemExit(f"pyembed: could not build {what}: {error}")
    print(f"pyembed: could not build {what}: {error}\npyembed: going on with the slower fallback", file=sys.stderr)


setup(**native_build())
