"""Evaluation: against slow twins, and against gensim where it is installed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyembed.vectors import EvaluationFileError, KeyedVectors, evaluate_word_analogies, evaluate_word_pairs
from pyembed.vectors.statistics import bootstrap, correlation_pvalue, pearson, spearman, spearman_of_draws

DATA = Path(__file__).parents[2] / "shared" / "data" / "evaluation"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data/evaluation beside the repository")


def spearman_naive(first: list[float], second: list[float]) -> float:
    def rank(values: list[float], value: float) -> float:
        below, equal = sum(other < value for other in values), sum(other == value for other in values)
        return below + (equal + 1) / 2

    ranks1, ranks2 = [rank(first, value) for value in first], [rank(second, value) for value in second]
    return float(np.corrcoef(ranks1, ranks2)[0, 1])


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=20))
def test_spearman_equals_the_slow_twin_ties_included(pairs):
    first, second = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    found = spearman(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(spearman_naive(first, second), abs=1e-12)


@pytest.mark.parametrize("pairs", [3, 4, 10, 353, 5_000])
def test_correlations_and_their_pvalues_equal_scipys(pairs):
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    rng = np.random.default_rng(pairs)
    for strength in (0, 0.05, 0.3, 3):
        first = rng.normal(size=pairs).round(1)
        second = strength * first + rng.normal(size=pairs)
        for ours, theirs in ((pearson, stats.pearsonr), (spearman, stats.spearmanr)):
            expected = theirs(first, second)
            assert ours(first, second) == pytest.approx(expected.statistic, abs=1e-12)
            assert correlation_pvalue(ours(first, second), pairs) == pytest.approx(
                expected.pvalue, rel=1e-8, abs=1e-300
            )
    assert correlation_pvalue(1.0, pairs) == 0
    assert correlation_pvalue(0.0, pairs) == 1
    assert math.isnan(correlation_pvalue(1.0, 2))


def test_a_bootstrap_interval_holds_the_middle_of_the_resamples():
    values = np.random.default_rng(0).normal(size=400)
    every = np.ones(400, dtype=bool)

    def means(counts: np.ndarray) -> np.ndarray:
        return counts @ values / counts.sum(axis=1)

    low, high = bootstrap(means, every, confidence=0.95, resamples=4_000, seed=1)
    error = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.15 * error)
    assert bootstrap(means, every, confidence=0.95, resamples=4_000, seed=1) == (low, high)
    narrower = bootstrap(means, every, confidence=0.5, resamples=4_000, seed=1)
    assert low < narrower.low < narrower.high < high
    assert math.isnan(bootstrap(means, every[:1], confidence=0.95, resamples=9, seed=1).low)


def test_a_resample_draws_as_many_items_as_may_be_drawn_and_no_others():
    items = np.random.default_rng(0).random(1_000) < 0.3
    seen = []

    def statistic(counts: np.ndarray) -> np.ndarray:
        assert (counts.sum(axis=1) == items.sum()).all()
        assert not counts[:, ~items].any()
        seen.append(counts)
        return counts.max(axis=1).astype(float)

    bootstrap(statistic, items, confidence=0.9, resamples=2_500, seed=1)
    assert len(seen) > 1, "many draws are made in parts"
    assert sum(map(len, seen)) == 2_500
    mean = np.concatenate(seen)[:, items].mean(axis=0)
    assert mean == pytest.approx(np.ones(items.sum()), abs=0.15)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3), st.integers(0, 3)), max_size=12))
def test_correlations_of_draws_equal_those_of_the_items_repeated(items):
    first, second, *counts = (np.array([item[i] for item in items], dtype=float) for i in range(4))
    found = spearman_of_draws(first, second, np.array(counts, dtype=np.int64).reshape(2, len(items)))
    for value, times in zip(found, counts, strict=True):
        repeated = [np.repeat(sequence, times.astype(int)).tolist() for sequence in (first, second)]
        if min(len(set(sequence)) for sequence in repeated) < 2:
            assert math.isnan(value)
        else:
            assert value == pytest.approx(spearman_naive(*repeated), abs=1e-9)


def test_scores_come_with_intervals_when_asked(plane, tmp_path):
    pairs, analogies = tmp_path / "pairs.txt", tmp_path / "analogies.txt"
    pairs.write_text("north up 9\nnorth east 1\nup right 2\neast right 8\nnorth West 3\nup East 1\n")
    analogies.write_text(": s\neast right up north\nright east north up\neast up east up\n")
    assert evaluate_word_pairs(plane, pairs).interval is None
    score = evaluate_word_pairs(plane, pairs, confidence=0.9, seed=3)
    assert -1 <= score.interval.low <= score.spearman <= score.interval.high <= 1
    assert score.interval == evaluate_word_pairs(plane, pairs, confidence=0.9, seed=3).interval
    score = evaluate_word_analogies(plane, analogies, confidence=0.9)
    assert 0 <= score.interval.low <= score.total.accuracy <= score.interval.high <= 1
    assert score.interval.low < score.interval.high


def test_questions_of_one_pair_are_drawn_together(plane, tmp_path):
    """Many questions that stand and fall together say no more than one: the interval is as wide."""
    wide, narrow = tmp_path / "one.txt", tmp_path / "many.txt"
    right, wrong = "east right up north\n", "east north right west\n"
    wide.write_text(": s\n" + right + wrong)
    narrow.write_text(": s\n" + 50 * right + 50 * wrong)
    for path in (wide, narrow):
        interval = evaluate_word_analogies(plane, path, confidence=0.9).interval
        assert interval == (0, 1)


def test_spearman_of_nothing_is_nan():
    assert math.isnan(spearman([], []))
    assert math.isnan(spearman([1], [1]))


def test_a_vector_that_is_no_number_makes_no_correlation(tmp_path):
    vectors = KeyedVectors(list("abcd"), [[np.nan, 1], [1, 2], [2, 1], [1, 0]])
    path = tmp_path / "pairs.txt"
    path.write_text("a b 1\nb c 2\nc d 3\nb d 4\n")
    score = evaluate_word_pairs(vectors, path)
    assert math.isnan(score.spearman)
    assert math.isnan(score.pearson)


@pytest.fixture
def plane() -> KeyedVectors:
    """Words on a circle, at degrees by name; later words are rarer."""
    degrees = {"north": 90, "up": 80, "east": 0, "right": 10, "West": 180, "west": 0, "zero": 45}
    angles = np.radians(list(degrees.values()))
    return KeyedVectors(list(degrees), np.stack([np.cos(angles), np.sin(angles)], axis=1))


@pytest.mark.parametrize("separator", ["\t", ",", ", ", " ", ";", "   "])
def test_pairs_may_be_separated_by_tabs_commas_or_spaces(separator, plane, tmp_path):
    path = tmp_path / "pairs.txt"
    rows = [("north", "up", "9"), ("north", "east", "2"), ("east", "RIGHT", "9.5"), ("north", "nowhere", "5")]
    path.write_text("# a comment\n" + "".join(separator.join(row) + "\n" for row in rows))
    score = evaluate_word_pairs(plane, path)
    assert (score.name, score.pairs, score.total) == ("pairs", 3, 4)
    assert score.spearman == pytest.approx(spearman_naive([10.0, -90, 10], [9, 2, 9.5]), abs=0.5)


def test_a_line_of_titles_is_left_out_once(plane, tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text("word 1\tword 2\tscore\nnorth\tup\t1\nnorth\teast\t0\n")
    assert evaluate_word_pairs(plane, path).total == 2
    path.write_text("north\tup\t1\nword 1\tword 2\tscore\n")
    with pytest.raises(EvaluationFileError, match="line 2: expected two words and a number"):
        evaluate_word_pairs(plane, path)


def test_pairs_of_unknown_words_have_no_score(plane, tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text("x y 1\nx z 2\n")
    score = evaluate_word_pairs(plane, path)
    assert (score.pairs, score.total) == (0, 2)
    assert math.isnan(score.spearman)


def test_case_is_ignored_and_the_most_frequent_spelling_counts(plane, tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text("EAST west 1\nnorth east 2\nnorth up 3\n")
    # `West`, opposite to east, comes before `west`, which equals it.
    assert evaluate_word_pairs(plane, path).spearman == pytest.approx(1)
    assert evaluate_word_pairs(plane, path, case_insensitive=False).pairs == 2


def answer_naive(vectors: KeyedVectors, question: list[str], restrict_vocab: int) -> bool | None:
    """Whether the question is answered right; None if a word is unknown. One word at a time, by the definition."""
    known: dict[str, str] = {}
    for word in vectors.index_to_key[:restrict_vocab]:
        known.setdefault(word.upper(), word)
    asked = [word.upper() for word in question]
    if any(word not in known for word in asked):
        return None
    a, b, c = (vectors[known[word]] / np.linalg.norm(vectors[known[word]]) for word in asked[:3])
    candidates = [word for word in vectors.index_to_key[:restrict_vocab] if word.upper() not in asked[:3]]
    best = max(candidates, key=lambda word: (b - a + c) @ vectors[word] / np.linalg.norm(vectors[word]))
    return best.upper() == asked[3]


def test_analogies_equal_the_slow_twin(tmp_path):
    rng = np.random.default_rng(3)
    words = [f"w{row}" for row in range(30)] + [f"W{row}" for row in range(0, 30, 3)]
    vectors = KeyedVectors(words, rng.normal(size=(len(words), 3)).astype(np.float32))
    questions = [[f"{'wW'[rng.integers(2)]}{rng.integers(32)}" for _ in range(4)] for _ in range(3_000)]
    path = tmp_path / "analogies.txt"
    sections = {"one": questions[:1000], "gram1-two": questions[1000:]}
    path.write_text("".join(f": {name}\n" + "".join(" ".join(q) + "\n" for q in qs) for name, qs in sections.items()))
    for restrict_vocab in (36, 20):
        score = evaluate_word_analogies(vectors, path, restrict_vocab=restrict_vocab)
        for section, asked in zip(score.sections, sections.values(), strict=True):
            answers = [answer_naive(vectors, question, restrict_vocab) for question in asked]
            assert section.correct == answers.count(True) > 0
            assert section.questions == len(answers) - answers.count(None)
            assert section.total == len(asked)
        assert score.semantic.correct == score.sections[0].correct
        assert score.syntactic.correct == score.sections[1].correct
        assert score.total.questions == score.semantic.questions + score.syntactic.questions


def test_analogies_without_known_words_score_nan(plane, tmp_path):
    path = tmp_path / "analogies.txt"
    path.write_text(": empty\n: unknown\na b c d\n")
    score = evaluate_word_analogies(plane, path)
    assert [section.total for section in score.sections] == [0, 1]
    assert score.total.questions == 0
    assert math.isnan(score.total.accuracy)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a b c d\n", "line 1: expected a line `: section` first"),
        (b": s\na b c\n", "line 2: expected four words, found 'a b c'"),
        (b": s\n\xff b c d\n", "expected UTF-8"),
    ],
)
def test_files_that_are_no_analogies_are_refused(content, message, plane, tmp_path):
    path = tmp_path / "analogies.txt"
    path.write_bytes(content)
    with pytest.raises(EvaluationFileError, match=message):
        evaluate_word_analogies(plane, path)


@needs_data
def test_scores_equal_gensims():
    models = pytest.importorskip("gensim.models", reason="gensim is not installed")
    words = list(dict.fromkeys((DATA / "questions-words.txt").read_text().split()))[:600]
    words += [word.lower() for word in words[::2] if word.lower() not in words]
    words += ["love", "sex", "tiger", "cat", "book", "paper", "computer", "plane", "car", "train", "old", "new"]
    words = list(dict.fromkeys(words))
    # A little structure, so that some answers are right.
    values = np.random.default_rng(0).normal(size=(len(words), 4)).astype(np.float32)
    ours, theirs = KeyedVectors(words, values), models.KeyedVectors(4)
    theirs.add_vectors(words, values)
    for name in ("wordsim353.txt", "simlex999.txt"):
        score = evaluate_word_pairs(ours, DATA / name)
        _, expected, missing = theirs.evaluate_word_pairs(str(DATA / name))
        assert score.spearman == pytest.approx(expected.statistic, abs=1e-9)
        assert 100 * (1 - score.pairs / score.total) == pytest.approx(missing)
    for restrict_vocab in (30_000, 400):
        found = evaluate_word_analogies(ours, DATA / "questions-words.txt", restrict_vocab=restrict_vocab)
        accuracy, sections = theirs.evaluate_word_analogies(str(DATA / "questions-words.txt"), restrict_vocab)
        assert found.total.accuracy == pytest.approx(accuracy)
        assert [section.correct for section in found.sections] == [len(part["correct"]) for part in sections[:-1]]


def test_pearson_of_equal_values_is_nan_however_their_mean_is_rounded():
    assert sum([0.1] * 7) / 7 != 0.1
    assert math.isnan(pearson([0.1] * 7, [1, 2, 3, 9, 2, 1, 4.7]))
    assert math.isnan(pearson([1, 2, 3, 9, 2, 1, 4.7], [0.1] * 7))


def test_files_without_a_question_have_no_score(plane, tmp_path):
    path = tmp_path / "empty.txt"
    path.touch()
    score = evaluate_word_analogies(plane, path, confidence=0.9)
    assert (score.sections, score.total.total) == ([], 0)
    assert math.isnan(score.total.accuracy)
    assert plane.evaluate_word_analogies(path) == (
        0.0,
        [{"section": "Total accuracy", "correct": [], "incorrect": []}],
    )
    assert math.isnan(evaluate_word_pairs(plane, path, confidence=0.9).spearman)
