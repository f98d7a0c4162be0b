"""Promises of the sources: what an input stands for, and that every way of storing a text gives the same text."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import sys
import threading
from pathlib import Path

import pytest
import zstandard

from pyembed.corpus import CorpusError
from pyembed.corpus.sources import FilePiece, expand_inputs

TEXT = b"".join(b"line %d of the text, with \xc3\xa9\n" % i for i in range(50_000))
COMPRESSORS = {".gz": gzip.compress, ".bz2": bz2.compress, ".zst": zstandard.ZstdCompressor().compress}


def read(*inputs: str | Path) -> bytes:
    return b"".join(block for source in expand_inputs(inputs) for block in source.blocks(lambda _: None))


def names(*inputs: str | Path) -> list[str]:
    return [Path(source.name).name for source in expand_inputs(inputs)]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ["b.txt", "a.txt", "a/z.txt", "a/deep/y.txt", ".hidden", "a/.hidden", ".git/config", "c.log"]:
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "tree"


def test_a_folder_stands_for_its_files_sorted_without_hidden_ones(tree: Path) -> None:
    assert names(tree) == ["y.txt", "z.txt", "a.txt", "b.txt", "c.log"]
    assert names(str(tree / "a")) == ["y.txt", "z.txt"]


def test_a_glob_stands_for_its_matches_sorted(tree: Path) -> None:
    assert names(str(tree / "*.txt")) == ["a.txt", "b.txt"]
    assert sorted(names(str(tree / "**"))) == ["a.txt", "b.txt", "c.log", "y.txt", "z.txt"]  # each once
    (tree / "odd[1].txt").write_bytes(b"")
    assert names(tree / "odd[1].txt") == ["odd[1].txt"]  # a file that exists is not a pattern


def test_inputs_keep_their_order_and_may_repeat(tree: Path) -> None:
    assert names(tree / "c.log", tree / "a.txt", tree / "c.log") == ["c.log", "a.txt", "c.log"]


def test_inputs_that_stand_for_nothing_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".hidden").write_bytes(b"x")
    for missing in ["no-such-file.txt", "*.nothing", "empty"]:
        with pytest.raises(FileNotFoundError) as caught:
            expand_inputs([tmp_path / missing])
        assert missing in str(caught.value)
    with pytest.raises(ValueError, match="at least one input"):
        expand_inputs([])


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_compressed_files_give_the_same_text(suffix: str, tmp_path: Path) -> None:
    compress = COMPRESSORS[suffix]
    path = tmp_path / f"text{suffix}"
    path.write_bytes(compress(TEXT))
    assert read(path) == TEXT
    path.write_bytes(compress(TEXT[:777_777]) + compress(b"") + compress(TEXT[777_777:]))
    assert read(path) == TEXT  # several streams, as `cat` and parallel compressors make
    path.write_bytes(b"")
    assert read(path) == b""


@pytest.mark.parametrize("suffix", COMPRESSORS)
@pytest.mark.parametrize("share", [0.0001, 0.5, 0.9999])
def test_truncated_files_are_named(suffix: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / f"text{suffix}"
    whole = COMPRESSORS[suffix](TEXT)
    path.write_bytes(whole[: int(len(whole) * share) or 1])
    with pytest.raises(CorpusError, match=rf"text\{suffix}: .*truncated"):
        read(path)


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_damaged_files_are_named(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_bytes(b"this was never compressed")
    with pytest.raises(CorpusError, match=rf"text\{suffix}: damaged"):
        read(path)
    path.write_bytes(COMPRESSORS[suffix](TEXT) + b"garbage")
    with pytest.raises(CorpusError, match=rf"text\{suffix}: "):
        read(path)


def test_gzip_checksums_are_checked(tmp_path: Path) -> None:
    damaged = bytearray(gzip.compress(TEXT))
    damaged[-8] ^= 1
    path = tmp_path / "text.gz"
    path.write_bytes(damaged)
    with pytest.raises(CorpusError, match=r"text\.gz: damaged"):
        read(path)


def test_zeros_after_gzip_data_are_allowed(tmp_path: Path) -> None:
    path = tmp_path / "text.gz"
    path.write_bytes(gzip.compress(TEXT) + bytes(1000))
    assert read(path) == TEXT


def test_a_missing_zstandard_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    path = tmp_path / "text.zst"
    path.write_bytes(COMPRESSORS[".zst"](TEXT))
    with pytest.raises(ModuleNotFoundError, match="pip install zstandard"):
        read(path)


def test_standard_input_is_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT)))
    assert read("-") == TEXT


def test_pieces_of_plain_files_are_left_to_be_read_and_anything_else_is_read(tmp_path: Path) -> None:
    (tmp_path / "1.txt").write_bytes(TEXT)
    (tmp_path / "2.gz").write_bytes(gzip.compress(TEXT))
    (tmp_path / "3.txt").write_bytes(b"")
    told: list[int] = []
    kinds, texts = set(), []
    for source in expand_inputs([tmp_path]):
        text = b""
        for piece in source.pieces(told.append):
            kinds.add((source.name[-5:], type(piece)))
            if isinstance(piece, FilePiece):
                assert (piece.name, piece.offset, piece.file_end) == (source.name, len(text), b"\n")
                text += os.pread(piece.descriptor, piece.size, piece.offset)
            else:
                text += piece
        texts.append(text)
    assert texts == [TEXT, TEXT, b""]
    assert kinds == {("1.txt", FilePiece), ("/2.gz", bytes)}
    assert sum(told) == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_a_named_pipe_is_a_source_of_unknown_size(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(TEXT,), daemon=True)
    writer.start()
    [source] = expand_inputs([pipe])
    assert source.size is None
    assert b"".join(source.blocks(lambda _: None)) == TEXT
    writer.join()


def test_bytes_read_are_told_up_to_the_size_on_disk(tmp_path: Path) -> None:
    for name, content in [("text", TEXT), ("text.gz", gzip.compress(TEXT))]:
        path = tmp_path / name
        path.write_bytes(content)
        [source] = expand_inputs([path])
        told: list[int] = []
        for _ in source.blocks(told.append):
            pass
        assert sum(told) == source.size == len(content)
