"""Without a compiler the package installs, trains with its fallbacks and says so once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NO_SOURCE = shutil.ignore_patterns(".*", "build", "dist", "*.so", "__pycache__")
BROKEN = {"CC": "/bin/false", "CXX": "/bin/false"}

TRAIN = """
import sys, pyembed
assert pyembed.__file__.startswith(sys.argv[1]), pyembed.__file__
for seed in 1, 2:
    model = pyembed.Word2Vec(sg=1, vector_size=8, min_count=1, epochs=1, seed=seed, sample=0)
    model.fit([["north", "east", "south", "west"]] * 50, progress=False)
print(model.wv["south"].shape, model.report.epochs[0].loss)
"""


def run(folder: Path, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in a folder, without what this process's environment says of Python and pyembed."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("PYEMBED_", "PYTHON"))}
    environment = {**plain, **environment}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip installed the package into, on a machine whose compilers all fail."""
    folder = tmp_path_factory.mktemp("packaging")
    shutil.copytree(ROOT, folder / "tree", ignore=NO_SOURCE)
    pip = (sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps", "--no-index")
    done = run(folder, *pip, "--target", folder / "site", folder / "tree", **BROKEN)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


def test_without_a_compiler_only_the_extensions_are_missing(installed):
    files = {path.relative_to(installed / "pyembed").as_posix() for path in (installed / "pyembed").rglob("*")}
    assert not {file for file in files if file.endswith(".so")}
    sources = {path.relative_to(ROOT / "pyembed").as_posix() for path in (ROOT / "pyembed").rglob("*.py")}
    assert sources | {"py.typed"} <= files
    assert list(installed.glob("pyembed_torch-*.dist-info/licenses/LICENSE"))


def test_without_a_compiler_training_works_and_says_once_that_it_is_slower(installed):
    done = run(installed, sys.executable, "-W", "always", "-c", TRAIN, installed)
    assert done.returncode == 0, done.stderr
    assert re.match(r"\(8,\) \d+\.\d+", done.stdout)
    assert done.stderr.count("Warning") == 1, done.stderr
    assert "slower" in done.stderr


def test_a_compiler_that_is_required_and_fails_stops_the_build(tmp_path):
    folders = ("--build-temp", tmp_path / "temp", "--build-lib", tmp_path / "lib")
    done = run(ROOT, sys.executable, "setup.py", "build_ext", *folders, **BROKEN, PYEMBED_REQUIRE_NATIVE="1")
    assert done.returncode != 0
    assert "could not build" in done.stderr


def program(path: Path, version: str) -> str:
    """A compiler that tells its version, and can do nothing else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"#!/bin/sh\ncase $1 in -dump*|--version) echo {version}; exit {0 if version else 1};; esac\nexit 1\n"
    )
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("nvcc", ["release 13.0, V13.0.88", ""], ids=["does not compile", "does not run"])
def test_cuda_kernels_that_cannot_be_built_are_left_out_and_the_rest_is_tried(tmp_path, nvcc):
    program(tmp_path / "toolkit" / "bin" / "nvcc", nvcc)
    (tmp_path / "toolkit" / "include").mkdir()
    (tmp_path / "toolkit" / "include" / "cuda_runtime.h").touch()
    compiler = program(tmp_path / "g++", "12.2.0")
    folders = ("--build-temp", tmp_path / "temp", "--build-lib", tmp_path / "lib")
    command = (sys.executable, "setup.py", "build_ext", *folders)
    environment = {"PYEMBED_BUILD_CUDA": "1", "CUDA_HOME": str(tmp_path / "toolkit"), "CC": compiler, "CXX": compiler}
    done = run(ROOT, *command, **environment)
    assert done.returncode == 0, done.stderr
    left_out = re.findall(r"could not build (the CUDA kernels|pyembed\._C|pyembed\._text)", done.stderr)
    assert left_out == ["the CUDA kernels", "pyembed._C", "pyembed._text"]
    required = run(ROOT, *command, **environment, PYEMBED_REQUIRE_NATIVE="1")
    assert required.returncode != 0
    assert "could not build the CUDA kernels" in required.stderr


def test_without_a_toolkit_the_message_says_where_one_is_looked_for(tmp_path):
    done = run(
        ROOT,
        *(sys.executable, "setup.py", "build_ext", "--build-temp", tmp_path / "temp", "--build-lib", tmp_path / "lib"),
        **BROKEN,
        PYEMBED_BUILD_CUDA="1",
        PYEMBED_REQUIRE_NATIVE="1",
        CUDA_HOME=str(tmp_path),
        CUDA_PATH=str(tmp_path),
        PATH=str(Path(sys.executable).parent),
    )
    assert done.returncode != 0
    assert "expected a CUDA toolkit at CUDA_HOME, on the path or from PyPI" in done.stderr
