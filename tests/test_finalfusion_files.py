"""Promises of finalfusion files: what finalfusion wrote reads equal, what is damaged is refused by its byte."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from format_cases import WORDS, finalfusion_bytes, small_table
from test_text_formats import SHARED, needs_shared

from pyembed.vectors import VectorFileError
from pyembed.vectors.formats import read, write


@pytest.mark.parametrize(
    "options", [{}, {"norms": True}, {"quantized": True}, {"quantized": True, "projected": True}], ids=str
)
@pytest.mark.parametrize("vocabulary", [1, 3, 7, 8])
def test_finalfusion_reads_as_its_own_reader_does(vocabulary, options, tmp_path):
    finalfusion = pytest.importorskip("finalfusion", reason="finalfusion is not installed")
    path = tmp_path / "v.fifu"
    path.write_bytes(finalfusion_bytes(vocabulary, **options))
    found, expected = read(path), finalfusion.load_finalfusion(str(path))
    assert list(found.words) == list(expected.vocab.words)
    norms = np.ones(len(WORDS)) if expected.norms is None else np.array(expected.norms)
    rows = np.array([expected.storage[row] for row in range(len(WORDS))])
    np.testing.assert_allclose(found.vectors, rows * norms[:, None], rtol=1e-5, atol=1e-6)
    assert found.metadata == {"finalfusion": 'title = "vectors"\n'}


@needs_shared
def test_finalfusions_samples_agree_with_each_other():
    text, array = read(SHARED / "similarity.txt"), read(SHARED / "similarity.fifu")
    assert list(array.words) == list(text.words)
    cosines = (text.vectors * array.vectors).sum(1) / np.linalg.norm(text.vectors, axis=1)
    np.testing.assert_allclose(cosines / np.linalg.norm(array.vectors, axis=1), 1, atol=1e-5)
    quantized = read(SHARED / "quantized.fifu")
    assert list(quantized.words) == list(text.words)
    cosines = (text.vectors * quantized.vectors).sum(1) / np.linalg.norm(text.vectors, axis=1)
    assert (cosines / np.linalg.norm(quantized.vectors, axis=1) > 0.7).all()


def test_finalfusion_reads_our_file(tmp_path):
    finalfusion = pytest.importorskip("finalfusion", reason="finalfusion is not installed")
    write(small_table(), tmp_path / "v.fifu")
    for mmap in (False, True):
        found = finalfusion.load_finalfusion(str(tmp_path / "v.fifu"), mmap=mmap)
        assert list(found.vocab.words) == WORDS
        np.testing.assert_array_equal(np.array(found.storage[:]), small_table().vectors)
    assert found.metadata == {"pyembed": {"model": "skipgram"}}


def test_finalfusion_metadata_of_other_making_go_back_as_they_were(tmp_path):
    (tmp_path / "v.fifu").write_bytes(finalfusion_bytes(1))
    write(read(tmp_path / "v.fifu"), tmp_path / "again.fifu")
    assert (tmp_path / "again.fifu").read_bytes() == finalfusion_bytes(1)


@pytest.mark.parametrize("options", [{"norms": True}, {"quantized": True}], ids=str)
def test_finalfusion_that_must_be_computed_is_not_mapped(options, tmp_path):
    (tmp_path / "v.fifu").write_bytes(finalfusion_bytes(1, **options))
    with pytest.raises(VectorFileError, match="a dense array without norms"):
        read(tmp_path / "v.fifu", mmap=True)


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, b"FiFo", "byte 0: expected b'FiFu'"),
        (4, b"\1", "version 0"),
        (8, b"\xff\xff\xff\xff", "at most 100 chunks"),
        (12, b"\2", "chunk of the kind 2"),
        (24, b"\2", "expected a chunk of the kind 5"),
        (28, b"\xff" * 8, "a chunk of kind 5, 18446744073709551615 bytes"),
    ],
)
def test_damaged_finalfusion_is_refused_with_its_byte(position, value, message, tmp_path):
    content = bytearray(finalfusion_bytes(1))
    content[position : position + len(value)] = value
    (tmp_path / "v.fifu").write_bytes(content)
    with pytest.raises(VectorFileError, match=message):
        read(tmp_path / "v.fifu")


@pytest.mark.parametrize(("dimensions", "centroids"), [(8, 0), (2**31, 0), (2048, 1)])
def test_a_code_stands_for_a_bounded_number_of_dimensions(dimensions, centroids, tmp_path):
    """So that a small file cannot ask for much memory."""
    body = struct.pack("<5IQII", 0, 0, 1, dimensions, centroids, 1, 1, 10)
    header = b"FiFu" + struct.pack("<4I", 0, 2, 1, 4) + struct.pack("<IQQI", 1, 13, 1, 1) + b"a"
    body += bytes(4 - (len(header) + 12 + len(body)) % 4 + 4 * dimensions * centroids + 1)
    (tmp_path / "v.fifu").write_bytes(header + struct.pack("<IQ", 4, len(body)) + body)
    with pytest.raises(VectorFileError, match=f"1 pieces of {dimensions}"):
        read(tmp_path / "v.fifu")


@pytest.mark.parametrize("options", [{"norms": True}, {"quantized": True, "projected": True}], ids=str)
def test_cut_finalfusion_is_refused(options, tmp_path):
    content = finalfusion_bytes(8, **options)
    for size in range(0, len(content), 5):
        (tmp_path / "v.fifu").write_bytes(content[:size])
        with pytest.raises(VectorFileError):
            read(tmp_path / "v.fifu")
