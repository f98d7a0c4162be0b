"""Promises of a model's vocabulary: built from text or counts, by rules, and grown without a loss."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from text_engines import USES_BOTH_ENGINES, text_engine  # noqa: F401
from toy_texts import SMALL, skewed, two_topics

from pyembed import Word2Vec, reference
from pyembed.corpus import CorpusError
from pyembed.models import RULE_DEFAULT, RULE_DISCARD, RULE_KEEP, state
from pyembed.models.vocabularies import VocabularyRules

pytestmark = USES_BOTH_ENGINES


def built(sentences: Any = None, **options: Any) -> Word2Vec:
    model = Word2Vec(**{**SMALL, **options})
    model.build_vocab(skewed() if sentences is None else sentences)
    return model


def counts_of(model: Word2Vec) -> dict[str, int]:
    assert model.wv.counts is not None
    assert model.wv.counts.tolist() == model.vocabulary.counts.tolist()
    return dict(zip(model.wv.index_to_key, model.wv.counts.tolist(), strict=True))


# --- new --------------------------------------------------------------------------------------------------------------


def test_build_vocab_makes_untrained_vectors() -> None:
    model = built()
    assert counts_of(model) == {f"w{n}": n for n in range(9, 0, -1)}
    assert np.array_equal(model.wv.vectors, reference.initial_in_vectors(9, 24, 1).numpy())
    assert model.syn1neg is not None
    assert not model.syn1neg.any()
    assert (model.corpus_count, model.corpus_total_words, model.train_count) == (9, 45, 0)


def test_sentences_count_even_where_no_word_of_them_stays() -> None:
    model = built([["a", "a"], [], ["b"]], min_count=2)
    assert (model.corpus_count, model.corpus_total_words, len(model.wv)) == (3, 3, 1)


def test_each_line_of_a_file_counts_once(tmp_path: Path) -> None:
    texts = ["", "a\n", "a\nb c", "\n\na\n"]
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.txt").write_text(text)
    model = Word2Vec(**SMALL)
    model.build_vocab(corpus_file=tmp_path)
    assert (model.corpus_count, model.corpus_total_words) == (0 + 1 + 2 + 3, 5)


def test_build_vocab_and_train_equal_one_call() -> None:
    model = built(two_topics())
    model.train(two_topics(), total_examples=model.corpus_count, epochs=model.epochs)
    at_once = Word2Vec(two_topics(), **SMALL)
    assert np.array_equal(model.wv.vectors, at_once.wv.vectors)
    assert (model.corpus_count, model.corpus_total_words) == (at_once.corpus_count, at_once.corpus_total_words)


def test_counts_of_others_make_the_same_vocabulary() -> None:
    counts = Counter(word for sentence in skewed() for word in sentence)
    model = Word2Vec(**SMALL)
    model.build_vocab_from_freq(counts, corpus_count=9)
    assert counts_of(model) == counts_of(built())
    assert (model.corpus_count, model.corpus_total_words) == (9, 45)
    with pytest.raises(ValueError, match="expected counts of at least 0, found -1 for 'a'"):
        model.build_vocab_from_freq({"a": -1})
    with pytest.raises(TypeError, match="found 3"):
        model.build_vocab_from_freq({3: 3})  # type: ignore[dict-item]
    assert len(model.wv) == 9


def test_raw_vocab_holds_all_words_where_it_is_asked_for() -> None:
    model = Word2Vec(**{**SMALL, "min_count": 8})
    model.build_vocab(skewed(), keep_raw_vocab=True)
    assert len(model.wv) == 2
    assert model.raw_vocab == {f"w{n}": n for n in range(1, 10)}
    model.build_vocab(skewed())
    assert model.raw_vocab == {}


def test_build_vocab_again_starts_anew() -> None:
    model = Word2Vec(two_topics(), **SMALL)
    wv = model.wv
    model.build_vocab(skewed())
    assert model.wv is wv
    assert len(wv) == 9
    assert np.array_equal(wv.vectors, built().wv.vectors)


def test_min_count_and_sample_of_build_vocab_become_settings() -> None:
    model = Word2Vec(**SMALL)
    model.build_vocab(skewed(), min_count=5, sample=0.5)
    assert (model.min_count, model.sample, len(model.wv)) == (5, 0.5, 5)
    with pytest.raises(TypeError, match="build_vocab has no option 'min_cuont'; did you mean 'min_count'"):
        model.build_vocab(skewed(), min_cuont=5)


def test_no_word_that_stays_is_an_error() -> None:
    for options in ({"min_count": 10}, {"trim_rule": lambda *_: RULE_DISCARD}, {"min_count": 10, "sorted_vocab": 0}):
        with pytest.raises(CorpusError, match="the vocabulary is empty"):
            built(**options)


# --- rules ------------------------------------------------------------------------------------------------------------


def test_a_trim_rule_is_asked_of_each_word_once_with_its_count() -> None:
    asked: list[tuple[str, int, int]] = []

    def rule(word: str, count: int, min_count: int) -> int:
        asked.append((word, count, min_count))
        return {"w1": RULE_KEEP, "w9": RULE_DISCARD}.get(word, RULE_DEFAULT)

    model = built(trim_rule=rule, min_count=6)
    assert asked == [(f"w{n}", n, 6) for n in range(1, 10)]
    assert counts_of(model) == {"w8": 8, "w7": 7, "w6": 6, "w1": 1}


def test_a_trim_rule_of_build_vocab_counts_instead_of_the_models() -> None:
    model = Word2Vec(trim_rule=lambda *_: RULE_DISCARD, **SMALL)
    model.build_vocab(skewed(), trim_rule=lambda *_: RULE_KEEP)
    assert len(model.wv) == 9


def test_an_answer_that_is_no_rule_is_an_error() -> None:
    with pytest.raises(ValueError, match="RULE_KEEP \\(2\\) for 'w1', found 'keep'"):
        built(trim_rule=lambda *_: "keep")  # type: ignore[arg-type,return-value]


def test_words_that_a_rule_keeps_are_never_cut_by_a_limit() -> None:
    model = built(trim_rule=lambda word, *_: RULE_KEEP if word == "w1" else None, max_final_vocab=3)
    assert counts_of(model) == {"w9": 9, "w8": 8, "w1": 1}


@given(
    counts=st.dictionaries(st.sampled_from([f"w{n}" for n in range(12)]), st.integers(1, 5), min_size=1),
    min_count=st.integers(1, 5),
    limit=st.none() | st.integers(1, 8),
    by_count=st.booleans(),
    forced=st.sets(st.sampled_from([f"w{n}" for n in range(12)])),
)
def test_rules_choose_as_an_obvious_twin(
    counts: dict[str, int], min_count: int, limit: int | None, by_count: bool, forced: set[str]
) -> None:
    rules = VocabularyRules(min_count, limit, by_count, lambda word, *_: RULE_KEEP if word in forced else RULE_DEFAULT)
    words = list(counts)
    kept = [word for word in words if word in forced or counts[word] >= min_count]
    while limit is not None and len(kept) > limit and set(kept) - forced:
        # the rarest that may go; of equal ones the last
        kept.remove(max(set(kept) - forced, key=lambda word: (-counts[word], words.index(word))))
    order = sorted(kept, key=lambda word: (-counts[word] if by_count else 0, words.index(word)))
    if order:
        assert rules.new(counts).words == order
    else:
        with pytest.raises(CorpusError):
            rules.new(counts)


# --- grown ------------------------------------------------------------------------------------------------------------

MORE = [["w9", "new", "new"], ["w9", "new", "newer"], ["rare", "newer", "w1"]]


def test_an_update_adds_counts_and_appends_words_by_count() -> None:
    model = built(min_count=2)
    before = counts_of(model)
    assert "w1" not in before
    model.build_vocab(MORE, update=True)
    assert model.wv.index_to_key == [*before, "new", "newer"]
    assert counts_of(model) == {**before, "w9": 11, "new": 3, "newer": 2}
    assert (model.corpus_count, model.corpus_total_words) == (3, 9)


def test_known_words_add_up_whatever_min_count_says_of_the_new_text() -> None:
    model = built(min_count=9)
    assert counts_of(model) == {"w9": 9}
    model.build_vocab(MORE, update=True)
    assert counts_of(model) == {"w9": 11}


def test_an_update_keeps_trained_vectors_exactly_and_starts_new_ones() -> None:
    model = Word2Vec(two_topics(), **SMALL)
    wv = model.wv
    vectors, outputs = wv.vectors.copy(), np.array(model.syn1neg)
    model.build_vocab(MORE, update=True)
    assert model.wv is wv
    assert np.array_equal(wv.vectors[:20], vectors)
    assert np.array_equal(wv.vectors[20:], reference.initial_in_vectors(len(wv), 24, 1).numpy()[20:])
    assert np.array_equal(np.array(model.syn1neg)[:20], outputs)
    assert not np.array(model.syn1neg)[20:].any()


def test_new_words_learn() -> None:
    model = Word2Vec(two_topics(), **SMALL)
    rng = np.random.default_rng(1)
    more = [["new", *(f"b{n}" for n in rng.integers(0, 10, 7))] for _ in range(150)]
    model.build_vocab(more, update=True)
    model.train(more, total_examples=model.corpus_count, epochs=10)
    assert all(word[0] == "b" for word, _ in model.wv.most_similar("new", topn=5))


def test_an_update_from_counts() -> None:
    model = built()
    model.build_vocab_from_freq({"w9": 1, "late": 2}, update=True)
    assert counts_of(model)["w9"] == 10
    assert model.wv.index_to_key[-1] == "late"


def test_an_update_without_new_words_changes_counts_alone() -> None:
    model = Word2Vec(two_topics(), **SMALL)
    vectors = model.wv.vectors.copy()
    model.build_vocab([["a1"]], update=True)
    assert np.array_equal(model.wv.vectors, vectors)
    assert model.wv.get_vecattr("a1", "count") == sum(sentence.count("a1") for sentence in two_topics()) + 1


def test_an_update_needs_a_vocabulary() -> None:
    with pytest.raises(RuntimeError, match="found none; call build_vocab without update"):
        Word2Vec(**SMALL).build_vocab(skewed(), update=True)


def test_a_limit_is_one_of_old_and_new_words_together() -> None:
    model = built(max_final_vocab=9)
    model.max_final_vocab = 10
    model.build_vocab(MORE, update=True)
    assert model.wv.index_to_key[9:] == ["new"]


# --- taken over -------------------------------------------------------------------------------------------------------


def test_reset_from_takes_the_vocabulary_with_untrained_vectors() -> None:
    trained = Word2Vec(two_topics(), **SMALL)
    model = Word2Vec(**{**SMALL, "vector_size": 10})
    model.reset_from(trained)
    assert counts_of(model) == counts_of(trained)
    assert model.corpus_count == 300
    assert np.array_equal(model.wv.vectors, reference.initial_in_vectors(20, 10, 1).numpy())


def test_there_is_nothing_to_take_over_without_a_vocabulary() -> None:
    with pytest.raises(RuntimeError, match="other_model: expected a model with a vocabulary"):
        built().reset_from(Word2Vec(**SMALL))


def test_init_weights_forgets_what_was_trained() -> None:
    model = Word2Vec(two_topics(), **SMALL)
    model.init_weights()
    assert np.array_equal(model.wv.vectors, built(two_topics()).wv.vectors)
    model.train(two_topics())
    assert np.array_equal(model.wv.vectors, Word2Vec(two_topics(), **SMALL).wv.vectors)


# --- that cannot be ---------------------------------------------------------------------------------------------------


def test_a_device_that_is_not_here_is_told_of_before_a_word_is_read() -> None:
    model = Word2Vec(device="cuda:99", **SMALL)
    for call in (model.build_vocab, model.fit):
        with pytest.raises(RuntimeError, match=r"^device 'cuda:99'"):
            call(pytest.fail("read") for _ in range(1))


def test_a_model_stays_as_it_was_where_tables_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_arguments: Any) -> None:
        raise MemoryError

    model, twin = Word2Vec(two_topics(), **SMALL), Word2Vec(two_topics(), **SMALL)
    for name in ("new_tables", "grown_tables"):
        with monkeypatch.context() as patch:
            patch.setattr(state, name, no_room)
            with pytest.raises(MemoryError):
                model.build_vocab(skewed(), update=name == "grown_tables")
    for each in (model, twin):
        each.train(two_topics())
    assert np.array_equal(model.wv.vectors, twin.wv.vectors)
