"""Files that appear under their final name whole or not at all, and the place for temporary ones."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file to write and read, moved to `path` when the block ends well and removed when it does not.

    It is written beside `path`, in the same folder. A link is followed, so that it stays a link.

    Raises:
        OSError: the folder is missing or unwritable, `path` is a folder or a device, or the disk is full; the error
            names `path`.
    """
    with _temporary_beside(path) as file:
        yield file
        file.close()
        Path(file.name).replace(os.path.realpath(path))


def require_writable(path: str | os.PathLike[str]) -> None:
    """Raises the OSError that opening `whole_file(path)` would: to be told before hours of work, not after."""
    with _temporary_beside(path):
        pass


@contextmanager
def _temporary_beside(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A new file in the folder of `path`, gone when the block ends unless the block renamed it."""
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise OSError(f"{path}: expected a file or nothing there, found a folder or a device")
    temporary = target.with_name(f"{target.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("x+b") as file:
            yield file
    except OSError as error:
        # A failed write knows its errno but no file, a failed open only the temporary one.
        if error.errno is not None and error.filename in (None, str(temporary)):
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def temporary_folder() -> Path:
    """Where large temporary files go: $TMPDIR, else /var/tmp, since /tmp often lives in memory."""
    if "TMPDIR" not in os.environ and os.access("/var/tmp", os.W_OK):
        return Path("/var/tmp")
    return Path(tempfile.gettempdir())
