"""Builds the two extensions: `_C` (kernels behind torch ops) and `_text` (tokenise, count, encode).

Both are optional: where one does not compile the installation goes on without it and the package falls back to
PyTorch and Python. Set PYEMBED_REQUIRE_NATIVE=1 to make a failed compile an error, as the Makefile does, or
PYEMBED_BUILD_NATIVE=0 to leave both out.

The kernels for CUDA become part of `_C` where torch is built for CUDA and nvcc is found, or where PYEMBED_BUILD_CUDA=1
asks for them; 0 leaves them out. They need no GPU to be built and no CUDA to be imported. TORCH_CUDA_ARCH_LIST names
the architectures, as torch's extensions take it: by default those of the GPUs at hand, or all of ARCHITECTURES.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from setuptools import Extension, setup

ROOT = Path(__file__).resolve().parent
SOURCES: dict[str, Any] = json.loads((ROOT / "csrc" / "sources.json").read_text())
# -w: warnings are the business of the CMake build, where each is an error. -g0: most Pythons ask for debug information,
# which takes a third of the time and more than nine tenths of the files.
COMPILE_FLAGS = ["-std=c++17", "-fvisibility=hidden", "-pthread", "-w", "-g0", *SOURCES["compile_flags"]]
LINK_FLAGS = ["-pthread"]
ARCHITECTURES = "7.5;8.0;8.6;8.9;9.0;10.0;12.0+PTX"
NVCC_FLAGS = ["-O3", "-std=c++17", "--threads=2", "--disable-warnings", "-Xcompiler=-fvisibility=hidden"]
HEADERS = [str(path.relative_to(ROOT)) for kind in ("*.h", "*.cuh") for path in sorted((ROOT / "csrc").rglob(kind))]
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
        extra_compile_args={"cxx": COMPILE_FLAGS, "nvcc": NVCC_FLAGS},
        extra_link_args=[*LINK_FLAGS],
        py_limited_api=True,
    )
    if cuda_is_wanted():
        try:
            add_cuda(extension)
        except RuntimeError as error:
            give_up_on("the CUDA kernels", error)
    return extension


def cuda_is_wanted() -> bool:
    import torch

    asked = os.environ.get("PYEMBED_BUILD_CUDA")
    return asked == "1" if asked else torch.version.cuda is not None and any(cuda_toolkits())


def cuda_toolkits() -> Iterator[Path]:
    """Folders of a CUDA toolkit: the one that CUDA_HOME names, that of the nvcc on the path, PyPI's."""
    homes = [Path(os.environ[name]) for name in ("CUDA_HOME", "CUDA_PATH") if name in os.environ]
    if nvcc := shutil.which("nvcc"):
        # It may be a wrapper somewhere else, but knows itself where it lives.
        plan = subprocess.run([nvcc, "--dryrun", "-c", "-x", "cu", os.devnull], capture_output=True, text=True)
        homes += [Path(bin).parent for bin in re.findall(r"^#\$ _HERE_=(.+)$", plan.stderr, re.MULTILINE)]
    homes += [Path(folder) / "nvidia" / "cu13" for folder in sys.path]
    for home in homes:
        if (home / "bin" / "nvcc").exists() and (home / "include" / "cuda_runtime.h").exists():
            yield home


def add_cuda(extension: Extension) -> None:
    """Adds the kernels for CUDA, with the CUDA runtime inside, so that the file is imported where there is none.

    Raises:
        RuntimeError: there is no toolkit.
    """
    import torch
    from torch.utils import cpp_extension

    home = next(cuda_toolkits(), None)
    if home is None:
        raise RuntimeError(
            "expected a CUDA toolkit at CUDA_HOME, on the path or from PyPI, found none; "
            "pip install 'pyembed-torch[nvcc]' brings one"
        )
    cpp_extension.CUDA_HOME = str(home)  # torch leaves it empty where it is itself built without CUDA
    if not torch.cuda.is_available():
        os.environ.setdefault("TORCH_CUDA_ARCH_LIST", ARCHITECTURES)
    extension.sources += SOURCES["cuda_kernels"] + SOURCES["cuda_binding"]
    extension.include_dirs.append(str(home / "include"))
    extension.library_dirs += [str(home / name) for name in ("lib64", "lib") if (home / name).exists()]
    extension.extra_link_args += ["-lcudart_static", "-ldl", "-lrt", "-Wl,--exclude-libs,ALL"]


def leave_cuda_out(extension: Extension) -> bool:
    """Takes back what add_cuda added. Returns whether there was anything."""
    cuda = {*SOURCES["cuda_kernels"], *SOURCES["cuda_binding"]} & {*extension.sources}
    extension.sources = [source for source in extension.sources if source not in cuda]
    extension.extra_link_args = [*LINK_FLAGS]
    return bool(cuda)


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

        def finalize_options(self) -> None:
            super().finalize_options()
            self.force = True  # ninja knows what is to be done; that the kernels for CUDA are to be added, nobody else

        def build_extensions(self) -> None:
            try:
                super().build_extensions()
            except Exception as error:  # torch's of a toolkit or compiler that it does not take, before it compiles
                if not any(leave_cuda_out(extension) for extension in self.extensions):
                    raise
                give_up_on("the CUDA kernels", error)
                super().build_extensions()

        def build_extension(self, ext: Extension) -> None:
            # Extensions that share a build folder share ninja's files, and each build then undoes the other.
            shared = self.build_temp
            self.build_temp = str(Path(shared) / ext.name)
            forget_stale_objects(ext, Path(self.build_temp))
            try:
                super().build_extension(ext)
                return
            except Exception as error:
                reason = error
            finally:
                self.build_temp = shared
            if leave_cuda_out(ext):
                give_up_on("the CUDA kernels", reason)
                self.build_extension(ext)
            else:
                give_up_on(ext.name, reason)

    for extension in extensions:
        extension.optional = True  # setuptools then copies what was built and misses nothing else
    return {"ext_modules": extensions, "cmdclass": {"build_ext": OptionalBuildExtension}}


def forget_stale_objects(extension: Extension, folder: Path) -> None:
    """Deletes objects of CUDA sources older than a header: under a torch without CUDA, ninja is not told of headers."""
    newest = max((ROOT / name).stat().st_mtime for name in BUILD_INPUTS)
    for source in extension.sources:
        compiled = (folder / source).with_suffix(".o")
        if source.endswith(".cu") and compiled.exists() and compiled.stat().st_mtime < newest:
            compiled.unlink()


def give_up_on(what: str, error: Exception) -> None:
    if os.environ.get("PYEMBED_REQUIRE_NATIVE") == "1":
        raise SystemExit(f"pyembed: could not build {what}: {error}")
    print(f"pyembed: could not build {what}: {error}\npyembed: going on with the slower fallback", file=sys.stderr)


setup(**native_build())
