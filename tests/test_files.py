"""Vector files appear whole or not at all, and what cannot be written is told in advance."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from pyembed.files import whole_file
from pyembed.vectors import VectorFileError
from pyembed.vectors.formats import VectorTable, format_of, read, require_target, write


def small() -> VectorTable:
    return VectorTable(words=["the", "cat"], vectors=np.eye(2, dtype=np.float32))


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "vectors.bin"
    path.write_bytes(b"old")

    def fail_halfway() -> None:
        with whole_file(path) as file:
            file.write(b"new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("suffix", [".bin", ".txt", ".glove", ".safetensors", ".fifu", ".npz", ".tsv"])
def test_a_full_disk_is_an_os_error_and_leaves_nothing(suffix, tmp_path, monkeypatch):
    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda path, mode="r": opened(path, mode) and opened(Path("/dev/full"), "wb"))
    path = tmp_path / f"vectors{suffix}"
    with pytest.raises(OSError, match="No space left") as caught:
        write(small(), path)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(path)
    assert not list(tmp_path.iterdir())


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    link = tmp_path / "link.txt"
    link.symlink_to("real.txt")
    write(small(), link)
    assert link.is_symlink()
    assert list(read(tmp_path / "real.txt").words) == list(small().words)


def test_devices_and_folders_are_no_targets(tmp_path):
    (tmp_path / "folder.bin").mkdir()
    for path in (tmp_path / "folder.bin", Path(os.devnull)):
        with pytest.raises(OSError, match="expected a file or nothing"), whole_file(path):
            pass
    assert Path(os.devnull).is_char_device()


def test_targets_are_checked_without_a_trace(tmp_path):
    require_target(tmp_path / "vectors.BIN")
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError, match=r"missing/vectors.bin"):
        require_target(tmp_path / "missing" / "vectors.bin")
    with pytest.raises(VectorFileError, match=r"found '.pickle'"):
        require_target(tmp_path / "vectors.pickle")
    with pytest.raises(VectorFileError, match="found no suffix"):
        format_of("vectors")
