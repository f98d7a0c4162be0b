"""Vector files: what is written reads back equal, what is damaged is refused by place, nothing is half written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pyembed.vectors import KeyedVectors, VectorFileError
from pyembed.vectors.formats import VectorTable, read, word2vec_binary, word2vec_text, write
from pyembed.vectors.formats.shortest_decimals import decimal_lines

SUFFIXES = [".bin", ".txt", ".vec", ".safetensors"]
SIMILARITY = Path(__file__).parents[2] / "shared" / "data" / "vectors" / "finalfusion-rust"
needs_data = pytest.mark.skipif(not SIMILARITY.is_dir(), reason="no ../shared/data/vectors beside the repository")
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# Surrogates cannot be encoded; newlines end words in some formats and have tests of their own.
words_strategy = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), min_size=1, max_size=12),
    min_size=1,
    max_size=12,
    unique=True,
)


@st.composite
def tables(draw: st.DrawFn, *, spaces: bool) -> VectorTable:
    words = draw(words_strategy)
    if not spaces:
        words = list(dict.fromkeys(word.replace(" ", "_") for word in words))
    dimensions = draw(st.integers(1, 5))
    bits = draw(hnp.arrays(np.uint32, (len(words), dimensions)))
    return VectorTable(words=words, vectors=bits.view(np.float32))


def assert_equal_bits(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal to the bit, but for the payload of NaN, which text does not keep."""
    nan = np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(found), nan)
    np.testing.assert_array_equal(found.view(np.uint32)[~nan], expected.view(np.uint32)[~nan])


def small() -> VectorTable:
    return VectorTable(
        words=["the", "könig", "x"], vectors=np.array([[0.1, -2], [3e-9, 4], [5, 6e20]], dtype=np.float32)
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
@quick
@given(data=st.data())
def test_what_is_written_reads_back_equal(suffix, data, tmp_path):
    table = data.draw(tables(spaces=suffix != ".bin"))
    path = tmp_path / f"vectors{suffix}"
    write(table, path)
    found = read(path)
    assert list(found.words) == list(table.words)
    assert found.vectors.dtype == np.float32
    assert_equal_bits(found.vectors, table.vectors)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_more_rows_than_one_block_read_back_equal(suffix, tmp_path):
    values = np.random.default_rng(0).normal(size=(9_001, 3)).astype(np.float32)
    table = VectorTable(words=[f"w{row}" for row in range(len(values))], vectors=values)
    path = tmp_path / f"vectors{suffix}"
    write(table, path)
    np.testing.assert_array_equal(read(path).vectors, values)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_words_read_back_as_no_words(suffix, tmp_path):
    path = tmp_path / f"vectors{suffix}"
    write(VectorTable(words=[], vectors=np.zeros((0, 4), dtype=np.float32)), path)
    assert read(path).vectors.shape == (0, 4)


def test_safetensors_keeps_counts_and_metadata(tmp_path):
    path = tmp_path / "vectors.safetensors"
    words = KeyedVectors(["a", "New\nYork"], np.eye(2), counts=[2**40, 1], metadata={"model": "skipgram"})
    words.save(path)
    found = KeyedVectors.load(path)
    assert found.index_to_key == ["a", "New\nYork"]
    assert found.counts is not None
    assert found.counts.tolist() == [2**40, 1]
    assert found.metadata == {"model": "skipgram"}


def test_safetensors_load_into_an_embedding_as_they_stand(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    path = tmp_path / "vectors.safetensors"
    write(small(), path)
    embedding = torch.nn.Embedding(3, 2)
    embedding.load_state_dict(load_file(path))
    np.testing.assert_array_equal(embedding.weight.detach().numpy(), small().vectors)


# --- Text numbers -----------------------------------------------------------------------------------------------------


@quick
@given(hnp.arrays(np.uint32, (3, 4)))
def test_decimals_of_any_bits_read_back_equal(bits):
    values = bits.view(np.float32)
    found = np.array([[np.float32(field) for field in line.split(b" ")] for line in decimal_lines(values)])
    assert_equal_bits(found, values)


@pytest.mark.parametrize("size", [1e-5, 1e-4, 1e-3, 0.05, 1.0, 9.0, 20.0])
def test_decimals_are_those_numpy_writes(size):
    """numpy's shortest decimals are the slow twin; they have an exponent below 1e-4."""
    values = (np.random.default_rng(0).normal(size=(50, 20)) * size).astype(np.float32)
    values[0] = np.round(values[0], 3)
    found = [field for line in decimal_lines(values) for field in line.decode().split(" ")]
    assert found == [str(value) for value in values.ravel()]


def test_neat_numbers_are_written_neatly():
    values = np.array([[0, -0.0, 1, -1, 0.5, 0.1, 9.9, 10, np.inf, -np.inf, np.nan]], dtype=np.float32)
    assert decimal_lines(values) == [b"0.0 -0.0 1.0 -1.0 0.5 0.1 9.9 10.0 inf -inf nan"]


# --- Dialects ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [b"", b"\n"], ids=["gensim", "word2vec.c"])
def test_binary_is_read_with_and_without_newlines(ending, tmp_path):
    path = tmp_path / "vectors.bin"
    rows = [word + b" " + np.float32([value, -value]).tobytes() + ending for word, value in ((b"a", 1.5), (b"b", 10.0))]
    path.write_bytes(b"2 2\n" + b"".join(rows))
    found = read(path)
    assert list(found.words) == ["a", "b"]
    np.testing.assert_array_equal(found.vectors, np.float32([[1.5, -1.5], [10, -10]]))


def test_text_is_read_with_trailing_spaces_carriage_returns_and_no_last_newline(tmp_path):
    path = tmp_path / "vectors.vec"
    path.write_bytes(b"3 2\r\na 1 2 \r\nNew York 3 -4e-1\nb\xc2\xa0c\xe2\x80\xa8 nan +6")
    found = read(path)
    assert list(found.words) == ["a", "New York", "b\u00a0c\u2028"]
    np.testing.assert_array_equal(found.vectors, np.float32([[1, 2], [3, -0.4], [np.nan, 6]]))


@needs_data
def test_files_of_other_tools_read_equal_in_text_and_binary():
    text, binary = read(SIMILARITY / "similarity.txt"), read(SIMILARITY / "similarity.bin")
    assert list(text.words) == list(binary.words)
    np.testing.assert_allclose(text.vectors, binary.vectors, atol=1e-6)


@needs_data
def test_words_cut_inside_a_character_are_refused():
    with pytest.raises(VectorFileError, match="UTF-8"):
        read(SIMILARITY / "utf8-incomplete.bin")
    with pytest.raises(VectorFileError, match="line 3: expected UTF-8"):
        word2vec_text.read(SIMILARITY / "utf8-incomplete.dims")


@needs_data
def test_a_fasttext_model_is_told_from_vectors():
    with pytest.raises(VectorFileError, match="fastText model"):
        word2vec_binary.read(SIMILARITY / "fasttext.bin")


def test_gensim_reads_our_files_with_equal_values(tmp_path):
    models = pytest.importorskip("gensim.models", reason="gensim is not installed")
    for suffix in (".bin", ".txt"):
        path = tmp_path / f"vectors{suffix}"
        write(small(), path)
        found = models.KeyedVectors.load_word2vec_format(str(path), binary=suffix == ".bin")
        assert found.index_to_key == list(small().words)
        np.testing.assert_array_equal(found.vectors, small().vectors)


# --- Damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1: .*an empty file"),
        (b"the 0.1 0.2\n", "line 1: expected the number of words"),
        (b"-1 2\n", "line 1"),
        (b"1 0\na\n", "at least one dimension"),
        (b"999999999999 300\na 1\n", "line 1: expected room for 999999999999 x 300"),
        (b"2 2\na 1 2\n", "line 1: expected room|line 3: expected 2 words, found the end"),
        (b"2 2\nlong-word 1.25 2.5\n", "line 3: expected 2 words, found the end"),
        (b"1 2\na 1 2\nb 3 4\n", "line 3: expected the end of the file after 1 words"),
        (b"2 2\na 1 2\nb 3 four\n", "line 3: expected a number in dimension 1, found b'four'"),
        (b"2 2\na 1 2\nb 3\n", "line 3: expected a word and 2 numbers, found 2 fields"),
        (b"1 2\na 1_0 2\n", "line 2: expected a number in dimension 0"),
        (b"1 2\na 0x1 2\n", "line 2: expected a number in dimension 0"),
        (b"1 3\na 1 2-3\n", "line 2: expected a word and 3 numbers"),
        (b"1 3\na 1  2-3\n", "line 2: expected a number in dimension 1, found b''"),
        (b"1 2\na 1 2-3\n", "line 2: expected a number in dimension 1, found b'2-3'"),
        (b"1 1\n 1 \n", "line 2"),
        (b"2 1\na 1\na 2\n", "'a' in rows 0 and 1"),
        (b"1 1\n\xff 1\n", "line 2: expected UTF-8"),
    ],
)
def test_damaged_text_is_refused_with_its_line(content, message, tmp_path):
    path = tmp_path / "vectors.vec"
    path.write_bytes(content)
    with pytest.raises(VectorFileError, match=message):
        read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"not a header", "line 1"),
        (b"99999999 300\nabc", "room for 99999999 x 300"),
        (b"1 1\nabcdefgh", "row 0"),
        (b"2 1\na \0\0\0\0\nbcdefgh", "byte 18, in row 1"),
        (b"2 1\na \0\0\0\0\nb \0\0\0", "line 1|row 1"),
        (b"1 1\na \0\0\0\0\nb \0\0\0\0", "expected the end of the file after row 0"),
        (b"1 1\n\xff\xff \0\0\0\0\n", "UTF-8 at byte 4, row 0"),
        (b"2 1\na \0\0\0\0\na \0\0\0\0\n", "'a' in rows 0 and 1"),
    ],
)
def test_damaged_binary_is_refused_with_its_byte(content, message, tmp_path):
    path = tmp_path / "vectors.bin"
    path.write_bytes(content)
    with pytest.raises(VectorFileError, match=message):
        read(path)


def safetensors_bytes(metadata: dict[str, str], shape: list[int], name: str = "weight", dtype: str = "F32") -> bytes:
    size = int(np.prod(shape)) * (4 if dtype == "F32" else 2)
    tensor = {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}
    header = json.dumps({"__metadata__": metadata, name: tensor}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(size)


OURS = {"pyembed_format": "1", "words": '["a", "b"]'}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a safetensors file"),
        (b"\xff" * 20, "expected a safetensors file"),
        (safetensors_bytes(OURS, [2, 1])[:-1], "expected a safetensors file"),
        (safetensors_bytes({}, [2, 1]), "expected metadata pyembed_format = '1', found None"),
        (safetensors_bytes({**OURS, "pyembed_format": "2"}, [2, 1]), "found '2'"),
        (safetensors_bytes(OURS, [2, 1], name="other"), "one tensor named 'weight'"),
        (safetensors_bytes(OURS, [2, 1], dtype="F16"), "expected float32"),
        (safetensors_bytes(OURS, [2]), r"shape \[V, D\]"),
        (safetensors_bytes(OURS, [3, 1]), "words: expected 3 values, one a row, found 2"),
        (safetensors_bytes({**OURS, "words": "{}"}, [2, 1]), "found dict"),
        (safetensors_bytes({**OURS, "words": "["}, [2, 1]), "words: expected JSON"),
        (safetensors_bytes({**OURS, "words": "[" * 100_000}, [2, 1]), "words: expected JSON"),
        (safetensors_bytes({**OURS, "words": '["a", 1]'}, [2, 1]), "row 1: expected str, found 1"),
        (safetensors_bytes({**OURS, "words": '["a", "a"]'}, [2, 1]), "'a' in rows 0 and 1"),
        (safetensors_bytes({**OURS, "counts": "[1, true]"}, [2, 1]), "row 1: expected int, found True"),
        (safetensors_bytes({**OURS, "counts": "[1, -1]"}, [2, 1]), "row 1: expected int, found -1"),
    ],
)
def test_damaged_safetensors_are_refused(content, message, tmp_path):
    path = tmp_path / "vectors.safetensors"
    path.write_bytes(content)
    with pytest.raises(VectorFileError, match=message):
        read(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@quick
@given(data=st.data())
def test_any_damage_is_refused_or_read_and_never_else(suffix, data, tmp_path):
    path = tmp_path / f"vectors{suffix}"
    write(small(), path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        found = read(path)
    except VectorFileError:
        return
    assert len(found.words) == len(found.vectors)


@pytest.mark.parametrize(
    ("suffix", "word"), [(".bin", "New York"), (".bin", "a\nb"), (".txt", "a\nb"), (".bin", ""), (".txt", "")]
)
def test_words_a_format_cannot_hold_are_refused_by_row(suffix, word, tmp_path):
    path = tmp_path / f"vectors{suffix}"
    with pytest.raises(VectorFileError, match=r"row 1: .*safetensors holds any word"):
        write(VectorTable(words=["a", word], vectors=np.eye(2, dtype=np.float32)), path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_words_that_are_no_text_are_refused(suffix, tmp_path):
    with pytest.raises(VectorFileError, match="UTF-8 can hold"):
        write(VectorTable(words=["\ud800"], vectors=np.eye(1, dtype=np.float32)), tmp_path / f"vectors{suffix}")
    assert not list(tmp_path.iterdir())
