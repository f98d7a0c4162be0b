"""`load_word2vec_format(limit=N)` reads the first N words and no further."""

from __future__ import annotations

import gzip
import warnings

import numpy as np
import pytest

from pyembed.vectors import KeyedVectors, VectorFileError
from pyembed.vectors.formats import text_rows

KINDS = {"text": {}, "binary": {"binary": True}, "glove": {"no_header": True}}


@pytest.fixture(params=KINDS)
def kind(request) -> dict[str, bool]:
    return KINDS[request.param]


def written(path, kind: dict[str, bool]) -> KeyedVectors:
    values = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    vectors = KeyedVectors([f"w{row}" for row in range(200)], values)
    vectors.save_word2vec_format(path, binary="binary" in kind, write_header="no_header" not in kind)
    return vectors


@pytest.mark.parametrize("limit", [1, 7, 199, 200, 1_000])
@pytest.mark.parametrize("block", [64, 1 << 23])
def test_the_first_words_are_read(kind, limit, block, tmp_path, monkeypatch):
    monkeypatch.setattr(text_rows, "_BYTES_PER_READ", block)
    vectors = written(tmp_path / "vectors", kind)
    read = KeyedVectors.load_word2vec_format(tmp_path / "vectors", limit=limit, **kind)
    assert read.index_to_key == vectors.index_to_key[:limit]
    np.testing.assert_array_equal(read.vectors, vectors.vectors[:limit])


def test_what_follows_is_not_looked_at(kind, tmp_path):
    written(tmp_path / "vectors", kind)
    content = (tmp_path / "vectors").read_bytes()
    damaged = content[: len(content) // 2] + b"\xff\xff" * (len(content) // 4)
    (tmp_path / "vectors").write_bytes(damaged)
    with pytest.raises(VectorFileError):
        KeyedVectors.load_word2vec_format(tmp_path / "vectors", **kind)
    assert len(KeyedVectors.load_word2vec_format(tmp_path / "vectors", limit=50, **kind)) == 50


def test_only_the_beginning_is_decompressed(tmp_path):
    values = np.random.default_rng(0).normal(size=(30_000, 10)).astype(np.float32)
    vectors = KeyedVectors([f"w{row}" for row in range(30_000)], values)
    vectors.save_word2vec_format(tmp_path / "vectors.txt")
    content = gzip.compress((tmp_path / "vectors.txt").read_bytes())
    (tmp_path / "vectors.txt.gz").write_bytes(content[:-1_000])
    with pytest.raises(VectorFileError):
        KeyedVectors.load_word2vec_format(tmp_path / "vectors.txt.gz")
    read = KeyedVectors.load_word2vec_format(tmp_path / "vectors.txt.gz", limit=3)
    assert read.index_to_key == ["w0", "w1", "w2"]


def test_rows_that_are_left_out_do_not_count(tmp_path):
    (tmp_path / "v.txt").write_text("5 2\na 1 2\nb x 2\nc 3 4\nd 5 6\ne 7 8\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = KeyedVectors.load_word2vec_format(tmp_path / "v.txt", limit=3, unicode_errors="skip")
    assert read.index_to_key == ["a", "c", "d"]


def test_a_file_that_ends_before_the_limit_is_damaged_as_ever(tmp_path):
    (tmp_path / "v.txt").write_text("5 2\na 1.000000 2\nb 1.000000 2\n")
    with pytest.raises(VectorFileError, match="expected 5 words, found the end of the file"):
        KeyedVectors.load_word2vec_format(tmp_path / "v.txt", limit=3)
    assert len(KeyedVectors.load_word2vec_format(tmp_path / "v.txt", limit=2)) == 2
