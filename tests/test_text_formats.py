"""GloVe and word2vec text: dialects, compression, what becomes of damage, and which format a file is of."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
from format_cases import small_table, write_cases

from pyembed.compression import decompressed_blocks
from pyembed.vectors import VectorFileError
from pyembed.vectors.formats import FORMATS, VectorFileWarning, VectorTable, detect, read, write

SHARED = Path(__file__).parents[2] / "shared" / "data" / "vectors" / "finalfusion-rust"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data/vectors beside the repository")
_gensim = importlib.util.find_spec("gensim")
GENSIM = Path(str(_gensim.origin)).parent / "test" / "test_data" if _gensim else None
needs_gensim = pytest.mark.skipif(GENSIM is None, reason="gensim is not installed")


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def floats(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


# --- Dialects ---------------------------------------------------------------------------------------------------------


def test_glove_words_may_hold_spaces_and_numbers(tmp_path):
    content = b". . . 1 2 3\nthe 4 5 6\nat 5 7 8 9\n2 10 11 12\n<unk> 1e-3 -.5 +6"
    found = read(written(tmp_path / "v.txt", content))
    assert list(found.words) == [". . .", "the", "at 5", "2", "<unk>"]
    np.testing.assert_array_equal(
        found.vectors, floats([1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12], [0.001, -0.5, 6])
    )


@pytest.mark.parametrize("words", [["1 2", "3 4"], ["new york", "san jose", "the"], ["new york", "the"]])
def test_glove_that_would_read_as_other_dimensions_is_not_written(words, tmp_path):
    table = VectorTable(words=words, vectors=np.ones((len(words), 2), dtype=np.float32))
    with pytest.raises(VectorFileError, match="expected words without spaces in most of the first 100 lines"):
        write(table, tmp_path / "v.glove")
    assert not list(tmp_path.iterdir())


def test_tabs_may_stand_between_fields(tmp_path):
    for name, header in (("v.vec", b"2 2\n"), ("v.glove", b"")):
        found = read(written(tmp_path / name, header + b"New York\t1\t2\nthe\t3\t4\n"))
        assert list(found.words) == ["New York", "the"]
        np.testing.assert_array_equal(found.vectors, floats([1, 2], [3, 4]))


def test_a_tab_may_be_part_of_a_word_between_spaces(tmp_path):
    assert list(read(written(tmp_path / "v.vec", b"1 2\na\tb 1 2\n")).words) == ["a\tb"]


@pytest.mark.parametrize("suffix", [".txt.gz", ".vec.zst", ".txt.bz2", ".glove.GZ"])
def test_compressed_text_goes_there_and_back(suffix, tmp_path):
    if "zst" in suffix:
        pytest.importorskip("zstandard")
    path, again = tmp_path / f"v{suffix}", tmp_path / f"again{suffix}"
    write(small_table(), path)
    found = read(path)
    assert list(found.words) == list(small_table().words)
    np.testing.assert_array_equal(found.vectors, small_table().vectors)
    write(found, again)
    assert again.read_bytes() == path.read_bytes()


def test_compressed_blocks_may_end_anywhere(tmp_path):
    """Two streams, the first of a header alone, the second begun in the middle of a line."""
    content = b"3 2\n", b"a 1 ", b"2\nb 3 4\nc 5 6\n"
    path = written(tmp_path / "v.txt.gz", b"".join(gzip.compress(part) for part in content))
    np.testing.assert_array_equal(read(path).vectors, floats([1, 2], [3, 4], [5, 6]))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_what_is_compressed_comes_a_part_at_a_time(pack):
    content, suffix = bytes(3 << 23), {gzip.compress: ".gz", bz2.compress: ".bz2"}[pack]
    blocks = list(decompressed_blocks(io.BytesIO(pack(content)), "v", suffix, VectorFileError))
    assert b"".join(blocks) == content
    assert max(map(len, blocks)) <= 10 << 20


def test_cut_compressed_text_is_refused(tmp_path):
    path = tmp_path / "v.txt.gz"
    write(small_table(), path)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(VectorFileError, match=r"v\.txt\.gz: the compressed data ends too early"):
        read(path)


def test_binary_formats_are_not_compressed(tmp_path):
    with pytest.raises(VectorFileError, match=r"found '\.bin\.gz'"):
        write(small_table(), tmp_path / "v.bin.gz")


# --- Other tools' files -----------------------------------------------------------------------------------------------


@needs_gensim
@pytest.mark.parametrize(
    "name", ["test_glove.txt", "lee_fasttext.vec", "toy-model.vec", "high_precision.kv.txt", "high_precision.kv.bin"]
)
def test_files_read_as_gensim_reads_them(name):
    from gensim.models import KeyedVectors

    assert GENSIM is not None
    expected = KeyedVectors.load_word2vec_format(
        str(GENSIM / name), binary=name.endswith(".bin"), no_header="glove" in name
    )
    found = read(GENSIM / name)
    assert list(found.words) == expected.index_to_key
    np.testing.assert_array_equal(found.vectors, expected.vectors)


@needs_gensim
@pytest.mark.parametrize("suffix", [".glove", ".vec.gz"])
def test_gensim_reads_our_text(suffix, tmp_path):
    from gensim.models import KeyedVectors

    table = small_table()
    write(table, tmp_path / f"v{suffix}")
    found = KeyedVectors.load_word2vec_format(str(tmp_path / f"v{suffix}"), no_header=suffix == ".glove")
    assert found.index_to_key[:7] == list(table.words)[:7]  # it takes a no-break space for the end of a word
    np.testing.assert_array_equal(found.vectors[:7], table.vectors[:7])


@needs_gensim
def test_a_truncated_file_is_refused():
    assert GENSIM is not None
    with pytest.raises(VectorFileError, match="line 3: expected 3 words, found the end of the file"):
        read(GENSIM / "pretrained.vec")


@needs_shared
def test_text_without_a_header_equals_text_with_one():
    with_header, without = read(SHARED / "similarity.txt"), read(SHARED / "similarity.nodims", format="glove")
    assert list(with_header.words) == list(without.words)
    np.testing.assert_array_equal(with_header.vectors, without.vectors)


@needs_shared
@pytest.mark.parametrize(("name", "format"), [("bin", "word2vec-binary"), ("dims", "word2vec-text"), ("txt", "glove")])
def test_incomplete_characters_are_refused_replaced_or_left_out(name, format):
    path = SHARED / f"utf8-incomplete.{name}"
    with pytest.raises(VectorFileError, match="UTF-8"):
        read(path, format=format)
    with pytest.warns(VectorFileWarning, match="1 words were not UTF-8"):
        replaced = read(path, format=format, errors="replace")
    with pytest.warns(VectorFileWarning, match="1 rows were left out, the first: .*UTF-8"):
        skipped = read(path, format=format, errors="skip")
    assert [word for word in replaced.words if "\ufffd" not in word] == list(skipped.words)
    assert len(replaced.words) == len(skipped.words) + 1


# --- What becomes of damage -------------------------------------------------------------------------------------------

DAMAGED = b"6 2\na 1 2\n\xff 3 4\nb x 6\nc 7\na 9 9\nd 10 11\n"


def test_skipping_leaves_damaged_rows_out(tmp_path):
    path = written(tmp_path / "v.vec", DAMAGED)
    with pytest.warns(VectorFileWarning, match="4 rows were left out, the first: line 3: expected UTF-8"):
        found = read(path, errors="skip")
    assert list(found.words) == ["a", "d"]
    np.testing.assert_array_equal(found.vectors, floats([1, 2], [10, 11]))


def test_replacing_repairs_words_and_nothing_else(tmp_path):
    with pytest.raises(VectorFileError, match="line 4: expected a number in dimension 0, found b'x'"):
        read(written(tmp_path / "v.vec", DAMAGED), errors="replace")
    with pytest.warns(VectorFileWarning):
        found = read(written(tmp_path / "v.vec", b"3 1\n\xff 1\n\xfe 2\na 3\n"), errors="replace")
    assert list(found.words) == ["\ufffd", "a"], "of words that have become one, the first stays"


def test_an_unknown_policy_is_refused(tmp_path):
    with pytest.raises(ValueError, match="strict, replace, skip"):
        read(written(tmp_path / "v.vec", DAMAGED), errors="ignore")


def test_nothing_is_said_of_a_sound_file(tmp_path, recwarn):
    write(small_table(), tmp_path / "v.vec")
    read(tmp_path / "v.vec", errors="skip")
    assert not recwarn.list


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1: .*an empty line or file"),
        (b"word\n", "line 1: expected a word and its numbers, found b'word'"),
        (b"a 1 2\nb 3 4\nc 5\n", "line 3: expected a word and 2 numbers, found 2 fields"),
        (b"a 1 2\nb 3 four\n", "line 2: expected a number in dimension 1, found b'four'"),
        (b"a 1 2\n 3 4\n", "line 2: expected a word before the numbers|line 2: expected a word and 2"),
        (b"a 1\na 2\n", "'a' in rows 0 and 1"),
    ],
)
def test_damaged_glove_is_refused_with_its_line(content, message, tmp_path):
    with pytest.raises(VectorFileError, match=message):
        read(written(tmp_path / "v.glove", content))


def test_a_damaged_line_beyond_the_first_block_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("pyembed.vectors.formats.text_rows._BYTES_PER_READ", 64)
    lines = [b"w%d %d 0.5" % (row, row) for row in range(100)]
    path = written(tmp_path / "v.glove", b"\n".join(lines))
    assert read(path).vectors[99, 0] == 99
    lines[77] = b"w77 1"
    with pytest.raises(VectorFileError, match="line 78: "):
        read(written(path, b"\n".join(lines)))


def test_a_line_without_an_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("pyembed.vectors.formats.text_rows._LONGEST_LINE", 1000)
    with pytest.raises(VectorFileError, match="lines of at most 1000 bytes"):
        read(written(tmp_path / "v.glove", b"a" + b" 1" * 1000))


def test_glove_without_words_is_not_written(tmp_path):
    with pytest.raises(VectorFileError, match="at least one word"):
        write(VectorTable(words=[], vectors=np.empty((0, 3), dtype=np.float32)), tmp_path / "v.glove")
    assert not list(tmp_path.iterdir())


# --- Which format -----------------------------------------------------------------------------------------------------


def test_every_format_is_told_by_name_or_content(tmp_path):
    for case, path in write_cases(tmp_path).items():
        expected = case.split(".")[0]
        expected = expected if expected in FORMATS else expected.split("-")[0]
        assert detect(path).name == expected, case


def test_content_decides_where_the_suffix_says_nothing(tmp_path):
    cases = write_cases(tmp_path)
    for case in ("fasttext", "finalfusion", "npy", "npz"):
        assert detect(cases[case].rename(tmp_path / f"{case}.model")).name == case
    with pytest.raises(VectorFileError, match=r"found '\.model'"):
        detect(written(tmp_path / "text.model", b"a 1\n"))


def test_a_named_format_overrules_the_suffix(tmp_path):
    path = tmp_path / "v.bin"
    write(small_table(), path, format="glove")
    np.testing.assert_array_equal(read(path, format="glove").vectors, small_table().vectors)
    with pytest.raises(VectorFileError, match=r"expected one of the formats word2vec-text, .*found 'pickle'"):
        read(path, format="pickle")


def test_text_cannot_be_memory_mapped(tmp_path):
    write(small_table(), tmp_path / "v.txt")
    with pytest.raises(VectorFileError, match=r"can be memory-mapped .*safetensors.*, found word2vec-text"):
        read(tmp_path / "v.txt", mmap=True)
