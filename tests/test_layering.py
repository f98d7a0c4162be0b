"""Rooms know only the rooms below them, and few files know what is special about the machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pyembed"
FLOORS = [
    {"__main__"},
    {"cli"},
    {"selftest"},
    {"demo", "bench"},
    {"models"},
    {"training", "vectors"},
    {"optim"},
    {"nn"},
    {"corpus"},
    {"ops"},
    {"reference"},
    {"config", "files", "compression", "compiled_text", "memory"},
    {"_version", "_C", "_text"},
]
"""From the top; a room imports from lower floors only. pyembed/__init__.py stands outside: it says where names live."""
HEIGHT = {room: -floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
ROOMS = {file: Path(file).parts[0].removesuffix(".py") for file in FILES if file != "__init__.py"}


def imported(file: str) -> Iterator[str]:
    """Every module that a file imports, at its head or later; `from a import b` counts as a and a.b."""
    for node in ast.walk(ast.parse((PACKAGE / file).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}, line {node.lineno}: imports are absolute here"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_imported(file: str) -> set[str]:
    """Names below pyembed; for names that the package itself gives, where they come from does not matter here."""
    parts = [module.split(".") for module in imported(file)]
    return {names[1] for names in parts if names[0] == "pyembed" and len(names) > 1}


def dotted_names(file: str) -> set[str]:
    """Every dotted name and every string in a file: what it could reach an op or the extension by."""
    tree = ast.parse((PACKAGE / file).read_text())
    names = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    docstrings = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and isinstance(node.body[0], ast.Expr)
    }
    strings = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings
    }
    return names | strings | set(imported(file))


def files_naming(pattern: str) -> set[str]:
    return {file for file in FILES if any(re.match(pattern, name) for name in dotted_names(file))}


@pytest.mark.parametrize("file", ROOMS)
def test_imports_point_down(file):
    room = ROOMS[file]
    above = {other for other in rooms_imported(file) - {room} if HEIGHT.get(other, 1) >= HEIGHT[room]}
    assert not above, f"{room} stands on no lower floor than {above}"


def test_vectors_do_not_depend_on_how_they_were_made():
    used = set().union(*(rooms_imported(file) for file in ROOMS if ROOMS[file] == "vectors"))
    assert used <= {"vectors", "config", "files", "compression", "compiled_text", "_version"}
    assert used, "the check sees no import at all"


def test_only_ops_names_torch_library_and_the_kernels():
    naming = files_naming(r"torch\.ops|torch\.library|pyembed\._C\b")
    assert naming
    assert {file.split("/")[0] for file in naming} == {"ops"}


def test_only_one_file_names_the_compiled_text_engine():
    assert files_naming(r"pyembed\._text\b") == {"compiled_text.py"}


@pytest.mark.parametrize("folder", ["kernels", "text", "vectors"])
def test_no_torch_below_the_binding(folder):
    sources = [path for path in (ROOT / "csrc" / folder).rglob("*") if path.suffix in {".h", ".cpp", ".cu", ".cuh"}]
    includes = {
        (path.name, header)
        for path in sources
        for header in re.findall(r'#\s*include\s*[<"]([^>"]+)', path.read_text())
    }
    assert includes, "the check sees no include at all"
    outside = {pair for pair in includes if re.match(r"torch/|ATen/|c10/|Python\.h|pybind11/|binding/", pair[1])}
    assert all(re.search(r"module\.(cpp|h)$", name) for name, _ in outside)
    assert all(header.startswith("pybind11/") for _, header in outside)


@pytest.mark.parametrize("names", [["KeyedVectors"], ["CorpusConfig", "TrainConfig"]])
def test_looking_at_vectors_does_not_wait_for_torch(names):
    code = f"import sys, pyembed; [getattr(pyembed, n) for n in {names}]; assert 'torch' not in sys.modules, 'torch'"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
