"""Exit codes and how expected errors become them."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class ExitCode(IntEnum):
    """What the shell is told, with its meaning for people."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> ExitCode:
        code = int.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        return code

    OK = 0, "done"
    FAILED = 1, "training could not go on, or a self-test found a fault"
    USAGE = 2, "unknown option, or a value out of its range"
    INPUT = 3, "an input is missing, empty or invalid, or a word has no vector"
    OUTPUT = 4, "the output cannot be written"
    INTERRUPTED = 130, "interrupted with Ctrl-C; `train` and `bench` save what they have"


class CommandError(Exception):
    """An error the user can act on; printed without a traceback."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def exiting(code: ExitCode, *expected: type[Exception]) -> Iterator[None]:
    """Turns errors of the expected types into the end of the command with this code.

    A full or read-only disk is an output error wherever it shows.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except expected as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            code = ExitCode.OUTPUT
        raise CommandError(code, describe(error)) from error


def describe(error: Exception) -> str:
    """The error in one line, with the file before the reason."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
