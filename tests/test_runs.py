"""Scores of settings that were run several times: means, intervals over questions and seeds, paired differences."""

from __future__ import annotations

import math
import statistics
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyembed.vectors import KeyedVectors, evaluate_runs, evaluate_word_analogies, evaluate_word_pairs
from pyembed.vectors.outcomes import AnalogyOutcome, Outcome
from pyembed.vectors.runs import _Bootstrap

WORDS = [f"w{row}" for row in range(40)]


def run(seed: int, noise: float, words: list[str] = WORDS) -> KeyedVectors:
    """Vectors with the same structure in each run, and luck of its own."""
    truth = np.random.default_rng(0).normal(size=(len(WORDS), 6))
    vectors = truth + noise * np.random.default_rng([1, seed]).normal(size=truth.shape)
    return KeyedVectors(words, vectors[[WORDS.index(word) for word in words]].astype(np.float32))


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """What people would say, which is near to the truth."""
    rng = np.random.default_rng(2)
    truth = run(0, 0)
    lines = []
    for _ in range(150):
        first, second = rng.choice(WORDS, 2, replace=False).tolist()
        lines.append(f"{first} {second} {truth.similarity(first, second) + rng.normal():.3f}")
    path = tmp_path / "pairs.txt"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def analogies(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    truth, lines = run(0, 0), [": one"]
    for number in range(60):
        if number == 30:
            lines.append(": two")
        a, b = rng.choice(WORDS, 2, replace=False).tolist()
        for _ in range(4):
            c = rng.choice([word for word in WORDS if word not in (a, b)])
            (d, _), *_ = truth.most_similar(positive=[b, c], negative=[a], topn=1)
            lines.append(f"{a} {b} {c} {d}")
    path = tmp_path / "analogies.txt"
    path.write_text("\n".join(lines))
    return path


def test_each_run_scores_as_it_does_alone(pairs, analogies):
    runs = [run(seed, 0.5) for seed in range(3)]
    (of_pairs, of_analogies) = evaluate_runs({"a": iter(runs)}, pairs=[pairs], analogies=analogies)["a"]
    expected = [evaluate_word_pairs(one, pairs).spearman for one in runs]
    assert of_pairs.scores == pytest.approx(expected)
    assert of_pairs.mean == pytest.approx(statistics.mean(expected))
    assert of_pairs.deviation == pytest.approx(statistics.stdev(expected))
    assert (of_pairs.name, of_pairs.counted, of_pairs.total) == ("pairs", [150, 150, 150], 150)
    totals = [evaluate_word_analogies(one, analogies).total for one in runs]
    assert of_analogies.scores == pytest.approx([total.accuracy for total in totals])
    assert 0.1 < of_analogies.mean < 0.9, "a test that is neither too easy nor too hard"
    assert (of_analogies.counted, of_analogies.total) == ([240, 240, 240], 240)
    assert of_pairs.difference is of_analogies.difference is None


def test_a_single_run_has_the_interval_that_it_has_alone(pairs, analogies):
    alone = run(1, 0.5)
    found = evaluate_runs({"a": [alone]}, pairs=[pairs], analogies=analogies, seed=7)["a"]
    expected = (
        evaluate_word_pairs(alone, pairs, confidence=0.95, seed=7).interval,
        evaluate_word_analogies(alone, analogies, confidence=0.95, seed=7).interval,
    )
    assert [score.interval for score in found] == [pytest.approx(interval) for interval in expected]
    assert all(math.isnan(score.deviation) for score in found)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), max_size=12),
    st.lists(st.integers(0, 3), min_size=4, max_size=4),
)
def test_a_draw_of_analogies_scores_as_its_questions_repeated(questions, drawn):
    units, correct, counted = (np.array([question[i] for question in questions]) for i in range(3))
    outcome = AnalogyOutcome(
        name="", units=units.astype(np.int64), correct=correct.astype(bool), counted=counted.astype(bool)
    )
    (found,) = outcome.scores(np.array([drawn]))
    repeated = [right for unit, right, counts in questions if counts for _ in range(drawn[unit])]
    if repeated:
        assert found == pytest.approx(sum(repeated) / len(repeated))
    else:
        assert math.isnan(found)


def resampled_naively(settings: list[list[KeyedVectors]], path: Path, tmp_path: Path, resamples: int) -> np.ndarray:
    """The mean score of drawn runs in drawn pairs, for each setting, by files with these pairs: [resamples, settings].

    By the words of the method: questions are drawn once for all settings; of R runs each, R - 1.
    """
    rng = np.random.default_rng(5)
    lines = path.read_text().splitlines()
    found = np.empty((resamples, len(settings)))
    for resample in range(resamples):
        drawn = tmp_path / "drawn.txt"
        drawn.write_text("\n".join(rng.choice(lines, len(lines)).tolist()))
        for number, runs in enumerate(settings):
            chosen = rng.integers(len(runs), size=max(1, len(runs) - 1))
            found[resample, number] = np.mean([evaluate_word_pairs(runs[one], drawn).spearman for one in chosen])
    return found


def test_intervals_equal_those_of_the_slow_twin(pairs, tmp_path):
    settings = {"sharp": [run(seed, 0.3) for seed in range(3)], "blurred": [run(seed, 0.8) for seed in range(10, 14)]}
    _, (found,) = evaluate_runs(settings, pairs=[pairs], resamples=4_000, confidence=0.9).values()
    drawn = resampled_naively(list(settings.values()), pairs, tmp_path, 400)
    for interval, values in ((found.interval, drawn[:, 1]), (found.difference.interval, drawn[:, 1] - drawn[:, 0])):
        low, high = np.quantile(values, [0.05, 0.95])
        assert tuple(interval) == pytest.approx((low, high), abs=0.15 * (high - low))
    assert found.difference.mean < 0
    assert found.difference.first == "sharp"


def test_where_only_the_seed_matters_the_interval_is_that_of_a_mean_of_runs(tmp_path):
    """All pairs agree, or none do, so that questions make no difference; three runs make the error of a mean of three.

    What a draw of two of them spreads by is sd / sqrt(3), where one of three would spread by a fifth less.
    """
    path = tmp_path / "pairs.txt"
    path.write_text("a b 3\n" * 40 + "a c 2\n" * 40 + "a d 1\n" * 40)
    angles = np.radians([[0, 10, 20, 30], [0, 20, 30, 10], [0, 30, 20, 10]])
    runs = [KeyedVectors(list("abcd"), np.stack([np.cos(row), np.sin(row)], axis=1)) for row in angles]
    (score,) = evaluate_runs({"a": runs}, pairs=[path], resamples=4_000, confidence=0.5)["a"]
    means = [(first + second) / 2 for first in score.scores for second in score.scores]
    assert statistics.pstdev(means) == pytest.approx(score.deviation / math.sqrt(3))
    low, high = np.quantile(means, [0.25, 0.75])
    assert tuple(score.interval) == pytest.approx((low, high), abs=0.1)


def test_pairing_narrows_the_interval_of_a_difference(pairs):
    steady = [run(seed, 0.01) for seed in range(4)]
    (first,), (second,) = evaluate_runs({"a": steady[:2], "b": steady[2:]}, pairs=[pairs]).values()
    low, high = second.difference.interval
    assert low < 0 < high
    assert high - low < 0.1 * (first.interval.high - first.interval.low), "equal questions, nearly equal answers"


def test_a_setting_does_not_differ_from_itself(pairs, analogies):
    one = run(1, 0.5)
    scores = evaluate_runs({"a": [one], "b": [one]}, pairs=[pairs], analogies=analogies)
    for score in scores["b"]:
        assert score.difference.mean == 0
        assert score.difference.interval == (0, 0)


def test_words_that_a_run_lacks_are_counted_in_the_open_and_settings_compared_without_them(pairs, analogies):
    settings = {"a": [run(1, 0.5), run(2, 0.5, WORDS[:36])], "b": [run(3, 0.5, WORDS[2:]), run(4, 0.5)]}
    scores = evaluate_runs(settings, pairs=[pairs], analogies=analogies)
    lines = [line.split() for line in pairs.read_text().splitlines()]

    def answered(words: list[str]) -> list[list[str]]:
        return [line for line in lines if {*line[:2]} <= {*words}]

    counted = [score.counted for score in (scores["a"][0], scores["b"][0])]
    assert counted == [[150, len(answered(WORDS[:36]))], [len(answered(WORDS[2:])), 150]]
    assert all(n < 150 for n in (counted[0][1], counted[1][0]))
    difference = scores["b"][0].difference
    common = answered(WORDS[2:36])
    assert difference.common == len(common)
    pairs.write_text("\n".join(" ".join(line) for line in common))
    alone = {
        name: np.mean([evaluate_word_pairs(one, pairs).spearman for one in runs]) for name, runs in settings.items()
    }
    assert difference.mean == pytest.approx(alone["b"] - alone["a"])


def test_no_more_than_two_runs_are_held_at_a_time(pairs):
    loaded: list[weakref.ref[KeyedVectors]] = []

    def load(seeds: range) -> Iterator[KeyedVectors]:
        for seed in seeds:
            assert sum(one() is not None for one in loaded) < 2
            vectors = run(seed, 0.5)
            loaded.append(weakref.ref(vectors))
            yield vectors
            del vectors

    scores = evaluate_runs({"a": load(range(4)), "b": load(range(3))}, pairs=[pairs])
    assert [len(score.scores) for (score,) in scores.values()] == [4, 3]


def test_tests_without_known_words_have_no_score(pairs, analogies):
    stranger = KeyedVectors(["x", "y"], np.eye(2))
    for score in evaluate_runs({"a": [stranger, stranger]}, pairs=[pairs], analogies=analogies)["a"]:
        assert score.counted == [0, 0]
        assert math.isnan(score.mean)
        assert all(math.isnan(end) for end in score.interval)


@pytest.mark.parametrize(("settings", "found"), [({}, "none"), ({"a": []}, "0 of 'a'")])
def test_settings_without_runs_are_refused(settings, found, pairs):
    with pytest.raises(ValueError, match=f"settings: expected at least one, each of at least one run, found {found}"):
        evaluate_runs(settings, pairs=[pairs])


@dataclass(frozen=True, kw_only=True)
class AlwaysOf(Outcome):
    """The same score whatever is drawn."""

    score: float

    def scores(self, counts):
        return np.full(len(counts), self.score)


@pytest.mark.parametrize("stream", [0, 1])
def test_runs_are_drawn_independently_of_questions(stream):
    two = {"units": np.arange(2), "counted": np.ones(2, dtype=bool)}
    how = _Bootstrap(confidence=0.95, resamples=2_000, seed=1)
    means = how.drawn_means([AlwaysOf(name="", score=score, **two) for score in (0, 0.5, 1)], stream)
    drawn = []

    def statistic(counts):
        drawn.append((counts[:, 0], means(counts)))
        return drawn[-1][1]

    how.interval(statistic, np.ones(2, dtype=bool))
    questions, scores = np.concatenate(drawn, axis=1)
    assert abs(np.corrcoef(questions, scores)[0, 1]) < 0.1
