"""KeyedVectors beside gensim's, on the same vectors: equal results, and better ones where gensim's are wrong."""

from __future__ import annotations

import numpy as np
import pytest

from pyembed.vectors import KeyedVectors, VectorFileError
from pyembed.vectors.formats import VectorFileWarning

gensim_models = pytest.importorskip("gensim.models", reason="gensim is not installed")
TOLERANCE = 1e-5


def vectors_of_both(words: list[str], values: np.ndarray) -> tuple[KeyedVectors, object]:
    theirs = gensim_models.KeyedVectors(values.shape[1])
    theirs.add_vectors(words, values.copy())
    return KeyedVectors(words, values.copy()), theirs


@pytest.fixture(scope="module")
def both() -> tuple[KeyedVectors, object]:
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(300, 12)) * rng.uniform(0.1, 9, size=(300, 1))).astype(np.float32)
    return vectors_of_both([f"w{row}" for row in range(300)], values)


def agree(found: object, expected: object) -> None:
    """Equal in structure and words, and in numbers to 1e-5."""
    if isinstance(expected, (list, tuple)):
        assert isinstance(found, (list, tuple))
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            agree(one, other)
    elif isinstance(expected, str):
        assert found == expected
    else:
        np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=TOLERANCE)


VECTOR = np.random.default_rng(1).normal(size=12).astype(np.float32)
CALLS = {
    "a word": lambda v: v["w3"],
    "several words": lambda v: v[["w3", "w1", "w3"]],
    "a row": lambda v: v[7],
    "rows": lambda v: v[[7, np.int64(2)]],
    "length": len,
    "contains": lambda v: ["w3" in v, "nothing" in v, 3 in v, 300 in v, -1 in v],
    "get_index": lambda v: [v.get_index("w9"), v.get_index(9), v.get_index("nothing", -1), v.get_index("x", default=5)],
    "has_index_for": lambda v: [v.has_index_for("w9"), v.has_index_for("nothing")],
    "get_vector": lambda v: v.get_vector("w5", norm=True),
    "normed": lambda v: v.get_normed_vectors(),
    "most_similar": lambda v: v.most_similar("w3"),
    "most_similar of sums": lambda v: v.most_similar(positive=["w3", "w4"], negative=["w5"], topn=5),
    "most_similar of vectors": lambda v: v.most_similar(positive=[VECTOR, "w4"], negative=[3 * VECTOR[::-1]]),
    "most_similar of a matrix": lambda v: v.most_similar(np.stack([VECTOR, VECTOR[::-1]])),
    "most_similar by row": lambda v: v.most_similar(positive=[4], topn=3),
    "most_similar with weights": lambda v: v.most_similar([("w3", 0.5), "w4", (VECTOR, 2.0)], [("w6", -0.7), "w8"]),
    "most_similar, all": lambda v: v.most_similar("w3", topn=None),
    "most_similar, none": lambda v: v.most_similar("w3", topn=0),
    "most_similar, many": lambda v: v.most_similar("w3", topn=1000),
    "most_similar, clipped": lambda v: v.most_similar("w33", topn=20, clip_start=30, clip_end=45),
    "most_similar, clipped, all": lambda v: v.most_similar("w33", topn=None, clip_start=30),
    "most_similar, restricted": lambda v: v.most_similar("w33", restrict_vocab=20, clip_start=10),
    "cosmul": lambda v: v.most_similar_cosmul(positive=["w3", "w4"], negative=["w5"]),
    "cosmul of one": lambda v: v.most_similar_cosmul("w3", topn=4),
    "cosmul of vectors": lambda v: v.most_similar_cosmul([VECTOR / 5, "w4"], ["w5"]),
    "cosmul, all": lambda v: v.most_similar_cosmul(["w3", "w4"], ["w5", "w6"], topn=None),
    "similar_by_word": lambda v: v.similar_by_word("w9", topn=4, restrict_vocab=50),
    "similar_by_key": lambda v: v.similar_by_key("w9", 4),
    "similar_by_vector": lambda v: v.similar_by_vector(VECTOR, topn=4),
    "similarity": lambda v: v.similarity("w1", "w2"),
    "n_similarity": lambda v: v.n_similarity(["w1", "w2", "nothing"], ["w3", "w4"]),
    "distance": lambda v: v.distance("w1", "w2"),
    "distances": lambda v: v.distances("w1"),
    "distances of a vector": lambda v: v.distances(VECTOR, ["w1", "w2"]),
    "cosine_similarities": lambda v: v.cosine_similarities(VECTOR, v.vectors),
    "doesnt_match": lambda v: v.doesnt_match(["w1", "w2", "w3", "w4"]),
    "rank_by_centrality": lambda v: v.rank_by_centrality(["w1", "w2", "w3"]),
    "rank_by_centrality, not normed": lambda v: v.rank_by_centrality(["w1", "w2", "w3"], use_norm=False),
    "closer_than": lambda v: v.closer_than("w1", "w2"),
    "words_closer_than": lambda v: v.words_closer_than("w1", "w2"),
    "rank": lambda v: v.rank("w1", "w2"),
    "most_similar_to_given": lambda v: v.most_similar_to_given("w1", ["w5", "w6", "w7"]),
    "relative_cosine_similarity": lambda v: v.relative_cosine_similarity("w1", "w2", topn=7),
    "mean": lambda v: v.get_mean_vector(["w1", 5, VECTOR]),
    "mean, weighted": lambda v: v.get_mean_vector(["w1", "w2", "nothing"], weights=[1, -2, 4], post_normalize=True),
    "mean, not normed": lambda v: v.get_mean_vector(["w1", "w2"], pre_normalize=False),
    "vectors_for_all": lambda v: v.vectors_for_all(["w5", "nothing", "w2", "w5"])[["w5", "w2"]],
    "word_vec": lambda v: v.word_vec("w5"),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_results_equal_gensims(call, both):
    agree(*(call(vectors) for vectors in both))


ERRORS = {
    "unknown word": lambda v: v["nothing"],
    "unknown row": lambda v: v[300],
    "negative row": lambda v: v[-1],
    "most_similar of an unknown word": lambda v: v.most_similar(positive=["w1", "nothing"]),
    "most_similar of nothing": lambda v: v.most_similar(),
    "similarity": lambda v: v.similarity("w1", "nothing"),
    "distances": lambda v: v.distances("nothing"),
    "get_index": lambda v: v.get_index("nothing"),
    "get_vecattr": lambda v: v.get_vecattr("w1", "nothing"),
    "set_vecattr": lambda v: v.set_vecattr("nothing", "x", 1),
    "mean of nothing": lambda v: v.get_mean_vector([]),
    "mean with weights amiss": lambda v: v.get_mean_vector(["w1"], weights=[1, 2]),
    "mean of an unknown word": lambda v: v.get_mean_vector(["nothing"], ignore_missing=False),
    "n_similarity of nothing": lambda v: v.n_similarity([], ["w1"]),
    "doesnt_match of nothing": lambda v: v.doesnt_match(["nothing"]),
    "cosmul of nothing": lambda v: v.most_similar_cosmul(),
    "changing a looked-up vector": lambda v: v["w1"].__setitem__(0, 1),
    "old names": lambda v: v.vocab,
}


@pytest.mark.filterwarnings("ignore:left out")
@pytest.mark.parametrize("call", ERRORS.values(), ids=ERRORS.keys())
def test_errors_are_of_gensims_types(call, both):
    raised = []
    for vectors in both:
        with pytest.raises(Exception) as caught:  # noqa: PT011
            call(vectors)
        raised.append(caught.type)
    assert issubclass(*raised), "what a script catches must catch ours"


def test_attributes_equal_gensims():
    for vectors in (KeyedVectors(3), gensim_models.KeyedVectors(3)):
        vectors.add_vectors(["a", "b", "c"], np.eye(3, dtype=np.float32))
        for word, count in zip("abc", (5, 9, 5), strict=True):
            vectors.set_vecattr(word, "count", count)
        some = vectors.vectors_for_all(["c", "b"], copy_vecattrs=True)
        assert [some.get_vecattr(word, "count") for word in "bc"] == [9, 5]
        vectors.set_vecattr("b", "color", "red")
        assert vectors.get_vecattr("b", "count") == 9
        assert vectors.get_vecattr(1, "color") == "red"
        assert vectors.get_vecattr("a", "color") == 0
        with pytest.raises(TypeError):
            vectors.set_vecattr("a", "count", 0.5)
        vectors.sort_by_descending_frequency()
        assert vectors.index_to_key == ["b", "c", "a"]
        assert vectors.key_to_index == {"b": 0, "c": 1, "a": 2}
        assert [vectors.get_vecattr(word, "count") for word in "abc"] == [5, 9, 5]
        np.testing.assert_array_equal(vectors["c"], [0, 0, 1])


def test_words_of_equal_rank_come_in_gensims_order():
    ours, theirs = vectors_of_both(["b", "c", "a"], np.tile([[1, 0]], (3, 1)).astype(np.float32))
    expected = [word for _, word in theirs.rank_by_centrality(["b", "c", "a"])]
    assert [word for _, word in ours.rank_by_centrality(["b", "c", "a"])] == expected
    assert ours.doesnt_match(["c", "a", "b"]) == theirs.doesnt_match(["c", "a", "b"])


@pytest.mark.parametrize("count", ["9" * 19, "9" * 5_000])
def test_counts_that_nothing_holds_are_refused_by_line(count, tmp_path):
    KeyedVectors(["a"], np.ones((1, 2))).save(tmp_path / "v.txt")
    (tmp_path / "counts.txt").write_text(f"b 1\na {count}\n")
    with pytest.raises(VectorFileError, match="line 2: expected a word and its count"):
        KeyedVectors.load_word2vec_format(tmp_path / "v.txt", tmp_path / "counts.txt")


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_1_is_refused(limit, both, tmp_path):
    both[0].save_word2vec_format(tmp_path / "v.txt")
    with pytest.raises(ValueError, match="limit: expected at least 1"):
        KeyedVectors.load_word2vec_format(tmp_path / "v.txt", limit=limit)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_adding_equals_gensims():
    rows = np.random.default_rng(2).normal(size=(6, 4)).astype(np.float32)
    ours, theirs = KeyedVectors(vector_size=4), gensim_models.KeyedVectors(vector_size=4)
    for vectors in (ours, theirs):
        vectors.add_vectors(["a", "b"], rows[:2])
        vectors.add_vectors(["b", "c"], [rows[2], rows[3]])
        vectors.add_vectors(["c", "d"], rows[3:5], replace=True)
        assert vectors.add_vector("e", rows[5]) == 4
        vectors["a"] = rows[5]
        vectors[["f", "b"]] = rows[:2]
    assert ours.index_to_key == theirs.index_to_key
    np.testing.assert_array_equal(ours.vectors, theirs.vectors)
    for vectors in (ours, theirs):
        vectors.unit_normalize_all()
    agree(ours.vectors, theirs.vectors)


def test_wmdistance_equals_gensims(both):
    pytest.importorskip("ot", reason="POT, which gensim needs for it, is not installed")
    ours, theirs = both
    rng = np.random.default_rng(3)
    for norm in (True, False):
        for _ in range(20):
            documents = [[f"w{row}" for row in rng.integers(25, size=rng.integers(1, 30))] + ["nothing"] for _ in "12"]
            expected = theirs.wmdistance(*documents, norm=norm)
            assert ours.wmdistance(*documents, norm=norm) == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("binary", [False, True])
def test_word2vec_files_travel_both_ways(binary, both, tmp_path):
    ours, theirs = both
    path, counts = tmp_path / "vectors.any", tmp_path / "counts"
    theirs.save_word2vec_format(str(path), binary=binary)
    read = KeyedVectors.load_word2vec_format(path, binary=binary)
    assert read.index_to_key == theirs.index_to_key
    np.testing.assert_array_equal(read.vectors, theirs.vectors)
    assert read.counts is None
    assert len(KeyedVectors.load_word2vec_format(path, binary=binary, limit=7)) == 7

    counted = KeyedVectors(ours.index_to_key, ours.vectors, counts=np.arange(300))
    counted.save_word2vec_format(path, binary=binary, fvocab=counts)
    assert counts.read_text().startswith("w299 299\nw298 298\n")
    back = gensim_models.KeyedVectors.load_word2vec_format(str(path), binary=binary, fvocab=str(counts))
    again = KeyedVectors.load_word2vec_format(path, binary=binary, fvocab=counts)
    assert back.index_to_key == again.index_to_key == counted.index_to_key[::-1]
    np.testing.assert_array_equal(back.vectors, ours.vectors[::-1])
    assert [back.get_vecattr(f"w{row}", "count") for row in range(300)] == list(range(300))
    np.testing.assert_array_equal(again.counts, np.arange(300)[::-1])


def test_text_without_a_header_travels_both_ways(both, tmp_path):
    ours, theirs = both
    path = tmp_path / "glove"
    ours.save_word2vec_format(path, write_header=False, prefix="x_")
    back = gensim_models.KeyedVectors.load_word2vec_format(str(path), no_header=True)
    np.testing.assert_array_equal(back.vectors, theirs.vectors)
    assert back.index_to_key[0] == KeyedVectors.load_word2vec_format(path, no_header=True).index_to_key[0] == "x_w0"


# --- What gensim 4.4 does wrong ---------------------------------------------------------------------------------------


def test_a_word_twice_in_a_file_is_refused_or_left_out_and_leaves_no_empty_key(tmp_path):
    path = tmp_path / "twice.txt"
    path.write_text("3 2\na 1 0\nb 0 1\na 5 5\n")
    with pytest.raises(VectorFileError, match=r"distinct words, found 'a' in rows 0 and 2"):
        KeyedVectors.load_word2vec_format(path)
    with pytest.warns(VectorFileWarning, match="'a'"):
        vectors = KeyedVectors.load_word2vec_format(path, unicode_errors="skip")
    assert vectors.index_to_key == ["a", "b"]
    assert vectors.most_similar("a") == [("b", 0.0)]


def test_lock_factors_are_floats_and_1_where_none_was_given():
    vectors = KeyedVectors(["a", "b", "c"], np.eye(3))
    vectors.set_vecattr("b", "lockf", 0)
    assert vectors.expandos["lockf"].dtype == np.float32
    vectors.add_vectors(["d", "e"], np.eye(3)[:2], extras={"lockf": [0.5, 2]})
    vectors.add_vector("f", [1, 1, 1])
    assert vectors.expandos["lockf"].tolist() == [1, 0, 1, 0.5, 2, 1]


def test_add_vectors_takes_extras():
    vectors = KeyedVectors(["a"], [[1, 0]], counts=[7])
    rows = np.float32([[0, 1], [1, 1], [2, 2]])
    vectors.add_vectors(["b", "a", "c"], rows, extras={"count": [3, 99, 1], "color": ["red", "blue", "green"]})
    assert [vectors.get_vecattr(word, "count") for word in "abc"] == [7, 3, 1]
    assert [vectors.get_vecattr(word, "color") for word in "abc"] == [0, "red", "green"]
    vectors.add_vectors(["a"], rows[:1], extras={"count": [100]}, replace=True)
    assert vectors.get_vecattr("a", "count") == 100
    np.testing.assert_array_equal(vectors["a"], rows[0])


def test_a_word_given_twice_is_added_once():
    vectors = KeyedVectors(2)
    vectors.add_vectors(["a", "b", "a"], [[1, 0], [0, 1], [5, 5]])
    assert vectors.index_to_key == ["a", "b"]
    np.testing.assert_array_equal(vectors.vectors, [[1, 0], [0, 1]])
    assert vectors.add_vector("a", [9, 9]) == 0
    np.testing.assert_array_equal(vectors["a"], [1, 0])


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_vectors_that_are_no_numbers_are_told_of_and_never_found(number, tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text(f"4 2\na 1 0\nbad {number} 1\nb 1 1\nc 0 1\n")
    with pytest.warns(VectorFileWarning, match="1 vectors hold NaN or infinity, the first that of 'bad' in row 1"):
        vectors = KeyedVectors.load(path)
    assert [word for word, _ in vectors.most_similar("a")] == ["b", "c"]
    assert [word for word, _ in vectors.most_similar_batch(["a"] * 9)[8]] == ["b", "c"]
    with pytest.warns(VectorFileWarning):
        KeyedVectors.load_word2vec_format(path)


def test_zero_vectors_have_no_direction_and_make_no_nan():
    vectors = KeyedVectors(["a", "zero", "b"], [[1, 0], [0, 0], [1, 1]])
    assert vectors.most_similar("zero") == [("a", 0.0), ("b", 0.0)]
    assert vectors.similarity("a", "zero") == 0
    np.testing.assert_array_equal(vectors.distances("zero"), [1, 1, 1])
    np.testing.assert_array_equal(vectors.get_vector("zero", norm=True), [0, 0])
    np.testing.assert_array_equal(vectors.get_normed_vectors()[1], [0, 0])
    vectors.unit_normalize_all()
    assert np.isfinite(vectors.vectors).all()


@pytest.mark.parametrize("binary", [False, True])
def test_intersect_word2vec_format_takes_the_words_that_both_have(binary, tmp_path):
    path = tmp_path / "other"
    KeyedVectors(["b", "x", "c"], [[5, 6], [7, 8], [9, 10]]).save_word2vec_format(path, binary=binary)
    vectors = KeyedVectors(["a", "b", "c"], np.zeros((3, 2), np.float32))
    assert vectors.intersect_word2vec_format(path, lockf=0.25, binary=binary) == 2
    np.testing.assert_array_equal(vectors.vectors, [[0, 0], [5, 6], [9, 10]])
    assert [vectors.get_vecattr(word, "lockf") for word in "abc"] == [1, 0.25, 0.25]
    assert len(vectors) == 3
    with pytest.raises(ValueError, match="expected vectors of size 3, found 2"):
        KeyedVectors(["b"], np.ones((1, 3))).intersect_word2vec_format(path, binary=binary)


def test_restrict_vocab_counts_for_3cosmul_too(both):
    found = both[0].most_similar_cosmul(["w3", "w4"], ["w5"], topn=50, restrict_vocab=20)
    assert {word for word, _ in found} == {f"w{row}" for row in range(20)} - {"w3", "w4", "w5"}


def test_a_mean_of_a_single_word_is_its_vector(both):
    agree(both[0].get_mean_vector("w1"), both[0].get_vector("w1", norm=True))


def test_documents_of_equal_vectors_are_at_no_distance():
    vectors = KeyedVectors(["a", "b"], [[1, 0], [1, 0]])
    assert vectors.wmdistance(["a"], ["b"]) == 0


def test_evaluation_equals_gensims(tmp_path):
    rng = np.random.default_rng(5)
    words = [f"w{row}" for row in range(40)] + ["W3", "Word"]
    ours, theirs = vectors_of_both(words, rng.normal(size=(42, 3)).astype(np.float32))
    pairs, analogies = tmp_path / "pairs.tsv", tmp_path / "analogies.txt"
    different = [rng.permutation(45)[:2].tolist() for _ in range(160)]  # a cosine of 1 is not always rounded to 1
    scores = rng.integers(9, size=160).tolist()
    lines = [f"w{a}\t{'wW'[s % 2]}{b}\t{s}\n" for (a, b), s in zip(different, scores, strict=True)]
    pairs.write_text("# a comment\n" + "".join(lines))
    sections = [
        [" ".join(f"w{row}" for row in question) for question in rng.integers(45, size=(300, 4))] for _ in "123"
    ]
    analogies.write_text("".join(f": s{number}\n" + "\n".join(lines) + "\n" for number, lines in enumerate(sections)))
    right = 0
    for options in ({}, {"dummy4unknown": True}, {"case_insensitive": False}, {"restrict_vocab": 30}):
        found, expected = (vectors.evaluate_word_pairs(str(pairs), **options) for vectors in (ours, theirs))
        assert found[2] == pytest.approx(expected[2])
        for correlation, other in zip(found[:2], expected[:2], strict=True):
            agree([correlation.statistic, correlation.pvalue], [other.statistic, other.pvalue])
        found, expected = (vectors.evaluate_word_analogies(str(analogies), **options) for vectors in (ours, theirs))
        assert found[0] == pytest.approx(expected[0])
        assert found[1] == expected[1]
        right += len(found[1][-1]["correct"])
    assert right > 0


def test_analogies_by_3cosmul_equal_one_question_at_a_time(both, tmp_path):
    ours, _ = both
    rng = np.random.default_rng(6)
    asked = rng.integers(300, size=(200, 3)).tolist()
    answers = [ours.most_similar_cosmul([b, c], [a], topn=1)[0][0] for a, b, c in asked]
    path = tmp_path / "analogies.txt"
    expected = [answer if number % 2 else "w7" for number, answer in enumerate(answers)]
    lines = [f"w{a} w{b} w{c} {d}\n" for (a, b, c), d in zip(asked, expected, strict=True)]
    path.write_text(": section\n" + "".join(lines))
    _, sections = ours.evaluate_word_analogies(path, similarity_function="most_similar_cosmul")
    assert len(sections[0]["correct"]) == 100 + answers[::2].count("w7")
    with pytest.raises(ValueError, match="similarity_function: expected most_similar or most_similar_cosmul"):
        ours.evaluate_word_analogies(path, similarity_function="nonsense")
