"""The index for approximate search: what it finds, keeps and refuses."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from pyembed.vectors import KeyedVectors, VectorFileError, approximate
from pyembed.vectors.approximate import ApproximateIndex
from pyembed.vectors.rows import FloatRows

# Not imported here: that is approximate.usearch_package's business, see test_torch_is_not_harmed.
pytestmark = pytest.mark.skipif(find_spec("usearch") is None, reason="usearch is not installed")


@pytest.fixture(scope="module", autouse=True)
def one_core():
    """Where several cores add words, now and then one is left that nothing leads to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(approximate, "usable_cores", lambda: 1)
        yield


@pytest.fixture(scope="module")
def vectors() -> KeyedVectors:
    values = np.random.default_rng(0).normal(size=(2_000, 8)).astype(np.float32)
    values[5] = np.nan
    return KeyedVectors([f"w{row}" for row in range(2_000)], values)


@pytest.fixture(scope="module")
def index(vectors: KeyedVectors) -> ApproximateIndex:
    return vectors.approximate_index()


@pytest.mark.parametrize("cores", [1, 4])
def test_it_finds_most_of_what_the_exact_search_finds_with_exact_cosines(vectors, cores, monkeypatch):
    monkeypatch.setattr(approximate, "usable_cores", lambda: cores)
    index = vectors.approximate_index()
    asked = [f"w{row}" for row in range(100, 200)]
    found, exact = index.most_similar_batch(asked), vectors.most_similar_batch(asked)
    common = [
        len({word for word, _ in one} & {word for word, _ in other}) for one, other in zip(found, exact, strict=True)
    ]
    assert np.mean(common) > 9.5
    for word, ranking in zip(asked, found, strict=True):
        assert len(ranking) == 10
        assert [cosine for _, cosine in ranking] == sorted((cosine for _, cosine in ranking), reverse=True)
        for other, cosine in ranking[:3]:
            assert cosine == pytest.approx(vectors.similarity(word, other), abs=1e-6)


def test_queries_are_those_of_most_similar(vectors, index):
    assert index.most_similar("w7", 1)[0][0] == vectors.most_similar("w7", topn=1)[0][0]
    asked = {"positive": ["w7", ("w8", 0.5), vectors["w9"]], "negative": ["w10"]}
    assert index.most_similar(**asked, topn=3)[0][0] == vectors.most_similar(**asked, topn=3)[0][0]
    assert index.most_similar(vectors["w11"], 1) == [("w11", pytest.approx(1, abs=1e-6))]
    assert vectors.most_similar("w11", indexer=index, topn=2)[0] == ("w11", pytest.approx(1, abs=1e-6))
    assert "w7" not in dict(index.most_similar("w7", topn=500))
    assert index.most_similar_batch([]) == []
    assert index.most_similar("w7", topn=0) == []
    with pytest.raises(KeyError, match="no vector for 'none'"):
        index.most_similar("none")
    with pytest.raises(TypeError, match="topn: expected a whole number, found"):
        index.most_similar(["w7"], ["w8"])


def test_words_without_numbers_are_left_out(vectors, index):
    assert len(index) == len(vectors) - 1
    assert len(index.most_similar("w7", topn=5_000)) <= len(vectors) - 2


def test_fewer_words_than_asked_for_are_all_found():
    small = KeyedVectors(["a", "b", "c"], [[1, 0], [1, 1], [0, 1]])
    found = small.approximate_index().most_similar("a", topn=10)
    assert found == [("b", pytest.approx(0.5**0.5)), ("c", pytest.approx(0))]


def test_tables_of_8_bits_have_indices_too(vectors):
    values = vectors.vectors.copy()
    values[5] = 0
    small = KeyedVectors(vectors.index_to_key, values).quantize()
    assert small.approximate_index(dtype="i8").most_similar("w7")[0][0] == small.most_similar("w7")[0][0]


def test_a_wider_search_finds_no_less(vectors):
    index = vectors.approximate_index(connectivity=4, expansion_add=8, expansion_search=1)
    asked = [f"w{row}" for row in range(100, 200)]
    exact = [{word for word, _ in ranking} for ranking in vectors.most_similar_batch(asked)]

    def common() -> int:
        found = index.most_similar_batch(asked)
        return sum(len(words & dict(ranking).keys()) for words, ranking in zip(exact, found, strict=True))

    few = common()
    index.expansion_search = 500
    assert common() > few
    with pytest.raises(ValueError, match="expansion_search: expected at least 1, found 0"):
        index.expansion_search = 0
    with pytest.raises(ValueError, match="connectivity: expected at least 2, found 1"):
        vectors.approximate_index(connectivity=1)
    with pytest.raises(ValueError, match="dtype: expected one of f32, bf16, f16, i8, found 'f8'"):
        vectors.approximate_index(dtype="f8")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_query_without_numbers_finds_nothing(vectors, index):
    assert index.most_similar(np.full(8, np.nan)) == vectors.most_similar(np.full(8, np.nan)) == []
    assert index.most_similar_batch(np.full((3, 8), np.inf)) == [[]] * 3


def test_without_words_nothing_is_found():
    none = KeyedVectors(4).approximate_index()
    assert none.most_similar_batch(np.ones((2, 4), dtype=np.float32)) == [[], []]


def test_many_queries_for_many_words_are_answered_a_few_at_a_time(index, monkeypatch):
    asked = [f"w{row}" for row in range(10, 30)]
    expected = index.most_similar_batch(asked, topn=50)
    sizes, gather = [], FloatRows.gather
    monkeypatch.setattr(
        FloatRows, "gather", lambda rows, found: sizes.append(found.size * rows.shape[1]) or gather(rows, found)
    )
    monkeypatch.setattr(approximate, "_VALUES_AT_ONCE", 3 * 51 * 8)
    assert index.most_similar_batch(asked, topn=50) == expected
    assert max(sizes) == 3 * 51 * 8


def test_words_may_be_added_but_not_put_in_another_order(vectors):
    values = np.nan_to_num(vectors.vectors)
    changing = KeyedVectors(vectors.index_to_key, values, counts=np.arange(2_000))
    index = changing.approximate_index()
    expected = index.most_similar("w7")
    changing.add_vector("new", changing["w7"])
    assert index.most_similar("w7") == expected
    assert "w7" in dict(index.most_similar("new"))
    changing.sort_by_descending_frequency()
    with pytest.raises(ValueError, match="expected the words of the index in their order"):
        index.most_similar("w7")


def test_an_index_is_saved_and_loaded_beside_its_vectors(vectors, index, tmp_path):
    index.save(tmp_path / "vectors.index")
    loaded = vectors.load_approximate_index(tmp_path / "vectors.index")
    asked = [f"w{row}" for row in range(10, 15)]
    assert loaded.most_similar_batch(asked) == index.most_similar_batch(asked)
    assert [path.name for path in tmp_path.iterdir()] == ["vectors.index"]


def test_a_loaded_index_looks_as_far_as_the_saved_one(vectors, tmp_path):
    vectors.approximate_index(expansion_search=7).save(tmp_path / "index")
    assert vectors.load_approximate_index(tmp_path / "index").expansion_search == 7


def test_an_index_is_saved_as_one_of_the_vectors_it_was_built_of(vectors, tmp_path):
    changing = KeyedVectors(vectors.index_to_key, vectors.vectors.copy())
    index = changing.approximate_index()
    changing.vectors[3] += 1
    index.save(tmp_path / "index")
    with pytest.raises(VectorFileError, match="expected an index of these vectors"):
        changing.load_approximate_index(tmp_path / "index")
    assert len(vectors.load_approximate_index(tmp_path / "index")) == len(index)


def test_an_index_of_other_vectors_is_refused(vectors, index, tmp_path):
    index.save(tmp_path / "index")
    values = vectors.vectors.copy()
    values[3, 3] += 1
    with pytest.raises(VectorFileError, match="expected an index of these vectors"):
        KeyedVectors(vectors.index_to_key, values).load_approximate_index(tmp_path / "index")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:0], "line 1: expected the header of a pyembed approximate index 1, found b''"),
        (lambda content: content[1:], "line 1: expected the header"),
        (lambda content: content[:-1], "the file is damaged"),
        (lambda content: content[:-9] + b"x" + content[-8:], "the file is damaged"),
    ],
)
def test_damaged_files_never_reach_the_package(vectors, index, tmp_path, damage, message):
    index.save(tmp_path / "index")
    (tmp_path / "index").write_bytes(damage((tmp_path / "index").read_bytes()))
    with pytest.raises(VectorFileError, match=message):
        vectors.load_approximate_index(tmp_path / "index")


def test_without_the_package_the_message_says_how_to_get_it(vectors, monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'pyembed-torch\[ann\]'"):
        vectors.approximate_index()


def test_torch_is_not_harmed():
    program = (
        "from pyembed.vectors import KeyedVectors\n"
        "KeyedVectors(['a', 'b'], [[1, 0], [0, 1]]).approximate_index()\n"
        "import torch\n"
        "print(torch.ops.aten.embedding.default._schema)\n"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "padding_idx=-1" in printed
