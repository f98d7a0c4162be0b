"""A model's file: all that is needed to go on, bit for bit, under any name; other files and damage are told of."""

from __future__ import annotations

import json
import pickle
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pyembed import KeyedVectors, Vocabulary
from pyembed.models.model_files import SavedModel, read_model, write_model
from pyembed.vectors import VectorFileError
from pyembed.vectors.formats.model_words import MODEL_KEY, MODEL_VERSION, word_tensors
from pyembed.vectors.formats.safetensors_file import write_file

WORDS = ["the", "könig", "", "a b", "日本"]
DTYPES = [torch.float32, torch.bfloat16]


def example(dtype: torch.dtype = torch.float32) -> SavedModel:
    torch.manual_seed(0)
    return SavedModel(
        settings={"alpha": 0.1 + 0.2, "sg": 1, "comment": "näive", "window": None, "device": "cpu"},
        counters={"epochs_trained": 3, "total_train_time": 1 / 3, "train_count": 2**53 + 1},
        vocabulary=Vocabulary.from_counts(WORDS, [2**40, 5, 4, 3, 0]),
        # A view with columns to spare, as tables are.
        in_vectors=torch.randn(5, 16).to(dtype)[:, :6],
        out_vectors=torch.randn(5, 6).to(dtype),
        node_vectors=torch.randn(4, 6).to(dtype),
        attributes={
            "lockf": np.linspace(0, 1, 5, dtype=np.float32),
            "seen": np.array([True, False, True, True, False]),
            "tag": np.array(["x", None, 3, ["y"], ""], dtype=object),
        },
    )


def same(one: SavedModel, other: SavedModel) -> None:
    assert one.settings == other.settings
    assert one.counters == other.counters
    assert one.vocabulary.words == other.vocabulary.words
    np.testing.assert_array_equal(one.vocabulary.counts, other.vocabulary.counts)
    for name in ("in_vectors", "out_vectors", "node_vectors"):
        ours, theirs = getattr(one, name), getattr(other, name)
        assert (ours is None) == (theirs is None)
        assert ours is None or (ours.dtype == theirs.dtype and torch.equal(ours, theirs))
    assert one.attributes.keys() == other.attributes.keys()
    for name, column in one.attributes.items():
        assert column.dtype == other.attributes[name].dtype
        np.testing.assert_array_equal(column, other.attributes[name])


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("models") / "a.model"
    write_model(example(), path)
    return path.read_bytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["word2vec.model", "model", "m.bin", "m.txt"])
def test_everything_comes_back_as_it_was_whatever_the_name(dtype, name, tmp_path):
    write_model(example(dtype), tmp_path / name)
    same(read_model(tmp_path / name), example(dtype))
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("without", [{"out_vectors": None}, {"node_vectors": None, "attributes": {}}])
def test_what_a_model_lacks_stays_away(without, tmp_path):
    saved = replace(example(), **without)
    write_model(saved, str(tmp_path / "m"))
    same(read_model(str(tmp_path / "m")), saved)


def test_a_model_without_a_vocabulary_keeps_its_settings(tmp_path):
    write_model(SavedModel(settings={"sg": 1}, counters={}), tmp_path / "m")
    loaded = read_model(tmp_path / "m")
    assert loaded == SavedModel(settings={"sg": 1}, counters={})
    with pytest.raises(VectorFileError, match="without a vocabulary"):
        KeyedVectors.load(tmp_path / "m")


@pytest.mark.parametrize("name", ["word2vec.model", "m.bin", "m.txt", "m"])
def test_keyed_vectors_find_the_vectors_in_it_whatever_the_name(name, tmp_path):
    write_model(example(), tmp_path / name)
    for mmap in (False, "r"):
        vectors = KeyedVectors.load(tmp_path / name, mmap=mmap)
        assert vectors.index_to_key == WORDS
        np.testing.assert_array_equal(vectors.counts, [2**40, 5, 4, 3, 0])
        np.testing.assert_array_equal(vectors.vectors, example().in_vectors)
    assert json.loads(vectors.metadata["settings"])["sg"] == 1


def test_keyed_vectors_are_float32_of_bfloat16(tmp_path):
    write_model(example(torch.bfloat16), tmp_path / "m")
    np.testing.assert_array_equal(KeyedVectors.load(tmp_path / "m").vectors, example(torch.bfloat16).in_vectors.float())


def test_the_file_is_safetensors(written):
    safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    tensors = safetensors.load(written)
    torch.testing.assert_close(tensors["weight"], example().in_vectors, rtol=0, atol=0)
    assert tensors["counts"].tolist() == example().vocabulary.counts.tolist()


def test_vectors_alone_and_other_files_are_refused_with_what_they_are(tmp_path):
    KeyedVectors(["a"], np.ones((1, 2))).save(tmp_path / "v.safetensors")
    with pytest.raises(VectorFileError, match=r"found vectors alone.* KeyedVectors\.load"):
        read_model(tmp_path / "v.safetensors")
    (tmp_path / "v.txt").write_text("1 2\na 1 1\n")
    with pytest.raises(VectorFileError, match=r"v\.txt: expected a safetensors file"):
        read_model(tmp_path / "v.txt")
    with pytest.raises(FileNotFoundError):
        read_model(tmp_path / "nowhere")


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("suffix", ["model", "bin", "txt", "npy", "safetensors"])
@pytest.mark.parametrize("read", [read_model, KeyedVectors.load])
def test_a_pickle_is_named_and_never_read_whatever_its_name(read, suffix, protocol, tmp_path):
    path = tmp_path / f"word2vec.{suffix}"
    path.write_bytes(pickle.dumps(Trap(tmp_path / "sprung"), protocol))
    with pytest.raises(VectorFileError, match=rf"word2vec\.{suffix}: found a pickle.*save_word2vec_format"):
        read(path)
    assert not (tmp_path / "sprung").exists()


def test_numbers_of_numpy_are_settings_too(tmp_path):
    """As a search for settings gives them."""
    settings = {"alpha": np.float32(0.5), "sg": np.bool_(True), "window": np.int64(5), "seed": np.uint32(7)}
    write_model(replace(example(), settings=settings, counters={"epochs_trained": np.int32(2)}), tmp_path / "m")
    loaded = read_model(tmp_path / "m")
    assert (loaded.settings, loaded.counters) == (settings, {"epochs_trained": 2})
    assert type(loaded.settings["window"]) is int


def test_an_array_of_texts_comes_back_as_texts(tmp_path):
    tags = np.array(["noun", "verb", "", "x", "näive"])
    write_model(replace(example(), attributes={"tag": tags}), tmp_path / "m")
    assert read_model(tmp_path / "m").attributes["tag"].tolist() == tags.tolist()


def test_a_later_version_is_told(written, tmp_path):
    (tmp_path / "m").write_bytes(written.replace(b'"pyembed_model":"1"', b'"pyembed_model":"7"'))
    for read in (read_model, KeyedVectors.load):
        with pytest.raises(VectorFileError, match="version 1, found version '7'"):
            read(tmp_path / "m")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": {"comment": object}}, "settings: comment: expected numbers, text"),
        ({"attributes": {"tag": np.array([object] * 5)}}, "attributes: tag: expected"),
        ({"attributes": {"tag": np.zeros(5, dtype=complex)}}, "attributes: tag: expected"),
        ({"attributes": {"tag": np.zeros((5, 2))}}, r"attribute 'tag': expected shape \[5\].* found \[5, 2\]"),
    ],
)
def test_what_cannot_be_kept_is_named_and_leaves_the_old_file(change, message, tmp_path):
    path = tmp_path / "m"
    path.write_bytes(b"before")
    with pytest.raises(VectorFileError, match=message):
        write_model(replace(example(), **change), path)
    assert path.read_bytes() == b"before"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"counts"', b'"countz"', "counts: expected I64, found only"),
        (b'"I64","shape":[5]', b'"F64","shape":[5]', "expected I64, found F64"),
        (b'"settings":"{', b'"settings":"[', "metadata settings: expected JSON"),
        (b'"settings":', b'"sottings":', "metadata settings: expected a JSON object, found None"),
        (b'"shape":[4,6]', b'"shape":[6,4]', r"node_vectors: expected shape \[4, D\], found \[6, 4\]"),
        ("könig".encode(), b"k\xff\xffnig", "words: expected UTF-8"),
        (b"a b", b"the", "found 'the' in rows 0 and 3"),
    ],
)
def test_damage_is_named(old, new, message, written, tmp_path):
    assert len(old) == len(new)
    assert old in written
    (tmp_path / "m").write_bytes(written.replace(old, new))
    with pytest.raises(VectorFileError, match=message):
        read_model(tmp_path / "m")


def test_words_that_are_no_list_are_named(tmp_path):
    parts = {name: array[None] for name, array in word_tensors(WORDS, np.arange(5)).items()}
    weight = np.ones((1, 2), dtype=np.float32)
    write_file(tmp_path / "m", {"weight": weight, **parts}, {MODEL_KEY: MODEL_VERSION})
    with pytest.raises(VectorFileError, match=r"expected a count for each word, found .*\[1, 5\]"):
        KeyedVectors.load(tmp_path / "m")


@given(data=st.data())
def test_damaged_files_are_read_or_refused_and_nothing_else(data, written, tmp_path_factory):
    content = bytearray(written)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(1, len(content))) :]
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)
    with suppress(VectorFileError):
        read_model(path)
