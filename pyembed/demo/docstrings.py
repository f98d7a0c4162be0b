"""Real text that every machine with torch has: the docstrings of the Python packages installed beside it.

Nothing is imported. One regular expression steps through a module from string to string and from comment to comment,
so that a quote in a comment opens nothing. A string is a docstring where it begins a line and stands at the start of
the module or after the header of a class or function, told by its last line. That is what `ast` finds, but for about
one in a thousand, in a thirtieth of its time.
"""

from __future__ import annotations

import ast
import re
import signal
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

from pyembed.config import usable_cores

# Each alternative begins with one plain character, by which `re` finds where to try: three times as fast as otherwise.
_STRING_OR_COMMENT = re.compile(
    rb"""
    \#[^\n]*
    | " (?: "" (?P<long_double>[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*) \"{3} | (?P<double>[^"\\\n]*(?:\\.[^"\\\n]*)*) ")
    | ' (?: '' (?P<long_single>[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*) '{3} | (?P<single>[^'\\\n]*(?:\\.[^'\\\n]*)*) ')
    """,
    re.VERBOSE | re.DOTALL,
)
_HEADER_END = re.compile(
    rb"\s*(?:(?:async\s+)?def\b|class\b|(?!(?:if|elif|for|while|with|except|case|match)\b).*\)[^)]*:).*(?<=:)"
)
_TRAILING_COMMENT = re.compile(rb"#[^'\"]*\Z")
_PARAGRAPH_BREAK = re.compile(r"\n\s*\n")
_FILES_PER_TASK = 100


@dataclass(frozen=True, kw_only=True)
class Docstrings:
    """What `gather` found."""

    paragraphs: list[str]
    """Distinct ones, each on one line, in the order of files and of lines."""
    files: int
    """Python files read."""
    packages: list[str]
    """Names of the packages, sorted."""


def gather(folders: Sequence[Path] | None = None) -> Docstrings:
    """Reads the docstrings of all Python files under some folders, on all cores.

    Args:
        folders: where to look; None: where packages are installed, torch's place included.

    Raises:
        FileNotFoundError: there is no Python file.
    """
    roots = sorted({folder.resolve() for folder in (installed_packages() if folders is None else folders)})
    files = [file for root in roots for file in sorted(root.rglob("*.py"))]
    if not files:
        raise FileNotFoundError(f"expected Python files under {', '.join(map(str, roots))}, found none")
    tasks = [files[start : start + _FILES_PER_TASK] for start in range(0, len(files), _FILES_PER_TASK)]
    # Spawned, because a forked child of a process with threads may hang.
    workers = min(usable_cores(), len(tasks))
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_leave_ctrl_c_to_the_parent) as pool:
        found = list(pool.map(_paragraphs_of_files, tasks))
    return Docstrings(
        paragraphs=list(dict.fromkeys(paragraph for part in found for paragraph in part)),
        files=len(files),
        packages=sorted({file.relative_to(root).parts[0] for root in roots for file in files if root in file.parents}),
    )


def installed_packages() -> list[Path]:
    """The folders that hold the packages of this interpreter."""
    paths = sysconfig.get_paths()
    folders = [Path(paths["purelib"]), Path(paths["platlib"])]
    torch = find_spec("torch")  # finds without importing
    if torch is not None and torch.origin is not None:
        folders.append(Path(torch.origin).parent.parent)
    return folders


def _leave_ctrl_c_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _paragraphs_of_files(files: Sequence[Path]) -> list[str]:
    return [
        " ".join(paragraph.split())
        for file in files
        for docstring in docstrings_of(file.read_bytes())
        for paragraph in _PARAGRAPH_BREAK.split(docstring)
        if not paragraph.isspace()
    ]


def docstrings_of(source: bytes) -> Iterator[str]:
    """The docstrings of a module's source, in order, escapes resolved, bytes that are not UTF-8 replaced."""
    for match in _STRING_OR_COMMENT.finditer(source):
        if match.lastgroup is None:
            continue
        start = match.start()
        line_start = source.rfind(b"\n", 0, start) + 1
        prefix = source[line_start:start].strip()
        if prefix.lower() not in (b"", b"r", b"u") or not _follows_header(source, line_start):
            continue
        text = match[match.lastgroup].decode(errors="replace")
        yield text if b"\\" not in match[0] or prefix.lower() == b"r" else _unescape(text, match[0])


def _follows_header(source: bytes, end: int) -> bool:
    """Whether the code before `end` is nothing, or ends with the header of a class or function."""
    while end > 0:
        start = source.rfind(b"\n", 0, end - 1) + 1
        line = _TRAILING_COMMENT.sub(b"", source[start:end]).strip()
        if line and not line.startswith(b"#"):
            return _HEADER_END.fullmatch(line) is not None
        end = start
    return True


def _unescape(text: str, literal: bytes) -> str:
    """The value of the literal that holds `text`; `text` itself if Python refuses one of its escapes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes that Python does not know and keeps
        try:
            value: str = ast.literal_eval(literal.decode(errors="replace"))
        except (SyntaxError, ValueError):
            return text
    return value
