"""Promises of .npy and .npz files: arrays of any making, never a pickle, and what is damaged is refused."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest
from format_cases import WORDS, small_table

from pyembed.vectors import VectorFileError
from pyembed.vectors.formats import read, write


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_other_floats_and_orders_are_read(dtype, order, tmp_path):
    values = np.asarray(small_table().vectors, dtype=dtype, order=order)
    np.save(tmp_path / "v.npy", values)
    (tmp_path / "v.words.txt").write_text("\r\n".join(WORDS), encoding="utf-8", newline="")
    found = read(tmp_path / "v.npy")
    assert list(found.words) == WORDS
    np.testing.assert_array_equal(found.vectors, values.astype(np.float32))
    np.savez_compressed(tmp_path / "v.npz", vectors=values, words=np.array(WORDS))
    found = read(tmp_path / "v.npz")
    assert list(found.words) == WORDS
    np.testing.assert_array_equal(found.vectors, values.astype(np.float32))
    if (dtype, order) != ("<f4", "C"):
        with pytest.raises(VectorFileError, match="expected float32 in C order, to be memory-mapped"):
            read(tmp_path / "v.npy", mmap=True)


def test_numpy_reads_our_files(tmp_path):
    write(small_table(), tmp_path / "v.npy")
    write(small_table(), tmp_path / "v.npz")
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), small_table().vectors)
    with np.load(tmp_path / "v.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["vectors"], small_table().vectors)


def test_pickles_are_refused(tmp_path):
    np.save(tmp_path / "v.npy", np.array([{}, {}]), allow_pickle=True)
    np.savez(tmp_path / "v.npz", allow_pickle=True, vectors=np.eye(2, dtype=np.float32), words=np.array(["a", None]))
    for name in ("v.npy", "v.npz"):
        with pytest.raises(VectorFileError, match="numbers or strings, no objects"):
            read(tmp_path / name)


def npy(shape: str, descr: str = "<f4", data: bytes = bytes(8)) -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"\x93NUMPY\3\0", "version 1 or 2"),
        (npy("(9999999999, 300)"), "expected the array, 11999999998800 bytes, found 8"),
        (npy("(1, -2)"), "expected numpy's header"),
        (npy("(2,)"), r"expected floats of shape \[V, D\]"),
        (npy("(1, 2)", "<i4"), r"expected floats of shape \[V, D\]"),
        (npy("(1, 1)"), "expected the end of the file, found 4 bytes more"),
        (npy("(2, 1)"), r"expected floats of shape \[1, D\], a row for each word"),
        (npy("(" * 300), "expected numpy's header"),
    ],
)
def test_damaged_npy_is_refused(content, message, tmp_path):
    (tmp_path / "v.npy").write_bytes(content)
    (tmp_path / "v.words.txt").write_text("one\n")
    with pytest.raises(VectorFileError, match=message):
        read(tmp_path / "v.npy")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"vectors": np.eye(2)}, "expected arrays named vectors and words"),
        ({"vectors": np.eye(2), "words": np.array(["a"])}, r"expected floats of shape \[1, D\]"),
        ({"vectors": np.eye(2), "words": np.zeros(2)}, "expected words as strings"),
        ({"vectors": np.eye(2), "words": np.zeros(2, np.uint8), "word_ends": np.array([2, 1])}, "ascending word_ends"),
        ({"vectors": np.eye(2), "words": np.array(["a", "b"]), "counts": np.zeros(3)}, "expected counts of 2"),
        ({"vectors": np.eye(2), "words": np.array(["a", "a"])}, "'a' in rows 0 and 1"),
        ({"vectors": np.eye(1), "words": np.array(["a"]), "metadata": np.frombuffer(b"[", np.uint8)}, "expected JSON"),
    ],
)
def test_damaged_npz_is_refused(arrays, message, tmp_path):
    np.savez(tmp_path / "v.npz", **arrays)
    with pytest.raises(VectorFileError, match=message):
        read(tmp_path / "v.npz")


def test_an_archive_that_lies_of_its_size_is_refused(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vectors.npy", b"\x93NUMPY" + bytes(100))
    content = bytearray(buffer.getvalue())
    struct.pack_into("<I", content, content.rindex(b"PK\1\2") + 24, 2**31)
    (tmp_path / "v.npz").write_bytes(content)
    with pytest.raises(VectorFileError, match=r"vectors: expected at most .* bytes, found 2147483648"):
        read(tmp_path / "v.npz")
