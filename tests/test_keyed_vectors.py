"""KeyedVectors: lookup and search, against a slow twin and by its promises."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

from pyembed.vectors import KeyedVectors, UnknownWordError, VectorFileError
from pyembed.vectors.rows import unit_rows


def random_vectors(words: int, dimensions: int, seed: int = 0) -> KeyedVectors:
    values = np.random.default_rng(seed).normal(size=(words, dimensions)).astype(np.float32)
    return KeyedVectors([f"word{row}" for row in range(words)], values)


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    first, second = first.astype(np.float64), second.astype(np.float64)
    return float(first @ second / np.sqrt((first @ first) * (second @ second)))


def most_similar_naive(
    vectors: KeyedVectors, positive: list[str], negative: list[str], topn: int
) -> list[tuple[str, float]]:
    query = np.zeros(vectors.vector_size)
    for sign, words in ((1, positive), (-1, negative)):
        for word in words:
            query += sign * vectors[word] / np.sqrt((vectors[word].astype(np.float64) ** 2).sum())
    others = [word for word in vectors.index_to_key if word not in positive + negative]
    return sorted(((word, cosine(query, vectors[word])) for word in others), key=lambda pair: -pair[1])[:topn]


def same_ranking(found: list[tuple[str, float]], expected: list[tuple[str, float]]) -> None:
    assert [word for word, _ in found] == [word for word, _ in expected]
    np.testing.assert_allclose([value for _, value in found], [value for _, value in expected], atol=2e-6)


@pytest.mark.parametrize("topn", [1, 3, 10, 39, 1000])
def test_most_similar_equals_the_slow_twin(topn):
    vectors = random_vectors(40, 8)
    same_ranking(vectors.most_similar("word3", topn=topn), most_similar_naive(vectors, ["word3"], [], topn))
    same_ranking(
        vectors.most_similar(["word3", "word4"], ["word5"], topn=topn),
        most_similar_naive(vectors, ["word3", "word4"], ["word5"], topn),
    )


def test_analogy_is_b_minus_a_plus_c():
    vectors = random_vectors(30, 5)
    same_ranking(
        vectors.analogy("word1", "word2", "word3", topn=4),
        most_similar_naive(vectors, ["word2", "word3"], ["word1"], 4),
    )


def test_the_words_of_the_query_are_never_found():
    vectors = KeyedVectors(["a", "b", "c"], [[1, 0], [1, 0], [0, 1]])
    assert [word for word, _ in vectors.most_similar("a")] == ["b", "c"]
    assert vectors.most_similar(["a", "b", "c"]) == []


def test_a_vector_may_stand_for_a_word():
    vectors = random_vectors(20, 4)
    found = vectors.most_similar(vectors["word7"], topn=2)
    assert found[0][0] == "word7"
    assert found[0][1] == pytest.approx(1, abs=1e-6)
    same_ranking(
        [pair for pair in vectors.most_similar([unit_rows(vectors[["word7"]])[0], "word2"]) if pair[0] != "word7"],
        most_similar_naive(vectors, ["word7", "word2"], [], 9),
    )


def test_restrict_vocab_searches_the_first_words_only():
    vectors = random_vectors(100, 4)
    found = vectors.most_similar("word99", topn=50, restrict_vocab=10)
    assert {word for word, _ in found} == {f"word{row}" for row in range(10)}


def test_words_without_direction_or_with_nan_harm_no_other():
    vectors = KeyedVectors(["a", "b", "zero", "nan"], [[1, 0], [1, 1], [0, 0], [np.nan, 1]])
    found = dict(vectors.most_similar("a", topn=10))
    assert found.keys() == {"b", "zero"}
    assert found["zero"] == 0
    assert vectors.similarity("a", "zero") == 0


def test_norms_cannot_be_stale():
    vectors = KeyedVectors(["a", "b", "c"], [[1, 0], [1, 1], [0, 1]])
    vectors.most_similar("a")
    vectors.vectors[2] = [100, 1]
    assert vectors.most_similar("a")[0] == ("c", pytest.approx(1, abs=1e-4))


@pytest.mark.parametrize(
    "change",
    [
        lambda vectors: vectors.add_vectors("new", vectors["a"] * 9),
        lambda vectors: vectors.__setitem__("new", vectors["a"] * 9),
        lambda vectors: vectors.add_vectors(["c", "new"], [[0, 1], [9, 0]], replace=True),
    ],
)
def test_searches_see_every_change(change, tmp_path):
    KeyedVectors(["a", "b", "c"], [[1, 0], [1, 1], [0, 1]]).save(tmp_path / "vectors.bin")
    vectors = KeyedVectors.load(tmp_path / "vectors.bin")
    assert vectors.most_similar("a")[0][0] == "b"
    change(vectors)
    assert vectors.most_similar("a")[0] == ("new", pytest.approx(1))


def test_adding_one_by_one_leaves_earlier_arrays_alone():
    vectors = KeyedVectors(2)
    held = []
    for row in range(50):
        assert vectors.add_vector(f"word{row}", [row, 1]) == row
        held.append(vectors.vectors)
    for row, array in enumerate(held):
        np.testing.assert_array_equal(array[:, 0], np.arange(row + 1))
    held[-1][0] = [7, 7]
    np.testing.assert_array_equal(vectors["word0"], [7, 7])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((["b"], [[1, 2, 3]]), ValueError),
        ((["b", "c"], [[1, 2]]), ValueError),
        (([1], [[1, 2]]), TypeError),
        ((["b"], [[1, 2]], {"count": [0.5]}), TypeError),
        ((["b"], [[1, 2]], {"count": [1, 2]}), ValueError),
    ],
)
def test_what_cannot_be_added_changes_nothing(arguments, error):
    vectors = KeyedVectors(["a"], [[1, 0]], counts=[3])
    with pytest.raises(error):
        vectors.add_vectors(*arguments)
    assert vectors.index_to_key == ["a"]
    assert vectors.key_to_index == {"a": 0}
    assert vectors.vectors.shape == (1, 2)
    assert vectors.counts.tolist() == [3]


def test_similarity_is_the_cosine():
    vectors = random_vectors(5, 7)
    assert vectors.similarity("word0", "word1") == pytest.approx(cosine(vectors["word0"], vectors["word1"]), abs=1e-6)
    assert vectors.similarity("word0", "word0") == pytest.approx(1, abs=1e-6)


def test_lookup_by_word_and_by_words():
    vectors = random_vectors(5, 3)
    assert len(vectors) == 5
    assert "word4" in vectors
    assert "word5" not in vectors
    assert 4 in vectors, "a whole number is a row"
    assert 5 not in vectors
    assert vectors.get_index("word4") == vectors.get_index(4) == 4
    assert vectors["word4"].base is vectors.vectors, "one word is a view"
    np.testing.assert_array_equal(vectors[["word4", "word0"]], vectors.vectors[[4, 0]])
    assert vectors[[]].shape == (0, 3)


def test_an_unknown_word_is_a_key_error_with_suggestions():
    vectors = KeyedVectors(["king", "queen", "Paris"], np.eye(3))
    with pytest.raises(KeyError) as caught:
        vectors["kng"]
    assert isinstance(caught.value, UnknownWordError)
    assert str(caught.value) == "no vector for 'kng'; similar words: king"
    with pytest.raises(KeyError, match="similar words: Paris"):
        vectors.most_similar("paris")
    with pytest.raises(KeyError, match=r"no vector for 'xyzzy'$"):
        vectors.similarity("king", "xyzzy")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a"], [[1, 2], [3, 4]]), r"expected shape \[1, D\]"),
        ((["a", "b"], [1, 2]), r"expected shape \[2, D\]"),
        ((["a"], np.zeros((1, 0))), r"found \[1, 0\]"),
        ((["a", "b"], np.eye(2), [1]), r"counts: expected shape \[2\]"),
        ((["a", "b", "a"], np.eye(3)), "'a' more than once"),
    ],
)
def test_what_does_not_fit_together_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        KeyedVectors(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "at least one word"),
        ({"positive": "word1", "restrict_vocab": 0}, "restrict_vocab"),
        ({"positive": np.zeros(9, dtype=np.float32)}, r"shape \[4\], found \[9\]"),
    ],
)
def test_queries_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        random_vectors(5, 4).most_similar(**arguments)


def test_no_words_have_no_neighbors():
    empty = KeyedVectors([], np.zeros((0, 3)))
    assert empty.most_similar(np.ones(3, dtype=np.float32)) == []


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_another_dtype_is_refused(dtype):
    with pytest.raises(ValueError, match="expected float32"):
        KeyedVectors(3, dtype=dtype)


def test_float32_in_c_order_is_kept_without_a_copy():
    values = np.ones((2, 3), dtype=np.float32)
    assert np.shares_memory(KeyedVectors(["a", "b"], values).vectors, values)
    assert KeyedVectors(["a", "b"], values.astype(np.float64).T[:2, :2]).vectors.flags.c_contiguous


def test_copies_keep_their_own_changes_when_words_are_added():
    original = KeyedVectors(vector_size=2)
    for word in "abcd":
        original.add_vector(word, [3, 4])
    for copied in (copy.deepcopy(original), pickle.loads(pickle.dumps(original))):
        copied.unit_normalize_all()
        copied.vectors[1] = [5, 5]
        copied.add_vector("e", [1, 2])
        np.testing.assert_allclose(copied.vectors, [[0.6, 0.8], [5, 5], [0.6, 0.8], [0.6, 0.8], [1, 2]], rtol=1e-6)
    np.testing.assert_array_equal(original.vectors, [[3, 4]] * 4)


def test_words_that_are_numbers_are_refused():
    with pytest.raises(TypeError, match="expected words, as strings, found 1"):
        KeyedVectors(["a", 1], np.eye(2))


def test_counts_are_whole_numbers_whoever_sets_them():
    vectors = KeyedVectors(["a", "b"], np.eye(2))
    for change in (
        lambda: vectors.set_vecattr("a", "count", 1.5),
        lambda: vectors.add_vectors(["c"], np.ones((1, 2)), extras={"count": [1.5]}),
    ):
        with pytest.raises(TypeError, match="'count': expected int64"):
            change()
    vectors.set_vecattr("b", "count", np.uint8(3))
    assert vectors.counts.dtype == np.int64
    vectors.sort_by_descending_frequency()
    assert vectors.index_to_key == ["b", "a"]


def test_texts_of_numpy_are_not_cut_off():
    vectors = KeyedVectors(["a", "b"], np.eye(2))
    vectors.set_vecattr("a", "tag", np.str_("n"))
    vectors.set_vecattr("b", "tag", "noun")
    assert [vectors.get_vecattr(word, "tag") for word in "ab"] == ["n", "noun"]


def test_a_mapped_table_takes_words_and_its_file_stays_as_it_was(tmp_path):
    path = tmp_path / "v.safetensors"
    KeyedVectors(["a", "b"], 3 * np.eye(2)).save(path)
    content = path.read_bytes()
    mapped = KeyedVectors.load(path, mmap=True)
    assert mapped.add_vector("b", [7, 7]) == 1
    with pytest.raises(ValueError, match="read-only"):
        mapped.unit_normalize_all()
    mapped.add_vector("c", [7, 7])
    mapped["a"] = [5, 5]
    np.testing.assert_array_equal(mapped.vectors, [[5, 5], [0, 3], [7, 7]])
    assert path.read_bytes() == content


def test_querying_does_not_import_torch():
    code = "import sys, pyembed.vectors, pyembed.cli; assert not {'torch', 'numba'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["word2vec.wordvectors", "vectors.kv", "vectors"])
def test_a_suffix_of_no_format_makes_a_file_that_load_knows(name, tmp_path):
    vectors = KeyedVectors(["a", "b"], np.eye(2), counts=[2, 1])
    vectors.save(tmp_path / name)
    loaded = KeyedVectors.load(str(tmp_path / name), mmap="r")
    assert loaded.index_to_key == ["a", "b"]
    assert loaded.counts.tolist() == [2, 1]
    np.testing.assert_array_equal(loaded.vectors, vectors.vectors)
    for unfit in ("v.ftz", "v.bin.gz"):
        with pytest.raises(VectorFileError, match="expected a name that ends in"):
            vectors.save(tmp_path / unfit)
