"""Promises of Word2Vec's arguments: each does what it says, or is refused with a reason; unknown ones are told of."""

from __future__ import annotations

import gzip
import inspect
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_texts import SMALL, skewed, two_topics

from pyembed import Word2Vec
from pyembed.config import usable_cores
from pyembed.corpus import CorpusError
from pyembed.models import RULE_DISCARD
from pyembed.models.settings import training_config

UNTRAINED: dict[str, Any] = {"alpha": 1e-9, "min_alpha": 0}
"""Learning rates at which the tables stay as they began, and so the loss as it was."""


def trained(sentences: Any = None, **options: Any) -> Word2Vec:
    return Word2Vec(two_topics() if sentences is None else sentences, **{**SMALL, **options})


def same_bits(first: Word2Vec, second: Word2Vec) -> bool:
    return np.array_equal(first.wv.vectors, second.wv.vectors)


def pairs(model: Word2Vec) -> int:
    return model.report.epochs[0].pairs


def mean_loss(**options: Any) -> float:
    return trained(**UNTRAINED, **options).report.epochs[0].loss


# --- text -------------------------------------------------------------------------------------------------------------


def test_sentences_are_trained_at_once_and_gone_through_once() -> None:
    seen = 0

    def once() -> Any:
        nonlocal seen
        for sentence in two_topics():
            seen += 1
            yield sentence

    model = trained(once(), epochs=3)
    assert (len(model.wv), len(model.report.epochs), seen) == (20, 3, 300)
    assert same_bits(model, trained(epochs=3))


def test_corpus_file_may_be_one_or_several_and_compressed(tmp_path: Path) -> None:
    lines = [" ".join(sentence) + "\n" for sentence in two_topics()]
    whole, parts = tmp_path / "whole.txt", [tmp_path / "1.txt", tmp_path / "2.txt.gz"]
    whole.write_text("".join(lines))
    parts[0].write_text("".join(lines[:100]))
    parts[1].write_bytes(gzip.compress("".join(lines[100:]).encode()))
    for files in (whole, str(whole), parts):
        assert same_bits(Word2Vec(corpus_file=files, **SMALL), trained())
    with pytest.raises(TypeError, match="found both"):
        Word2Vec([["a"]], corpus_file=whole)
    with pytest.raises(TypeError, match="name it as corpus_file"):
        Word2Vec(str(whole))


def test_lowercase_joins_words() -> None:
    assert trained([["Word", "word"]], lowercase=True).wv.index_to_key == ["word"]


def test_tokenizer_applies_to_text_and_not_to_lists() -> None:
    assert trained(["a,b"], tokenizer="words").wv.index_to_key == ["a", "b"]
    assert trained([["a,b", "c"]], tokenizer="words").wv.index_to_key == ["a,b", "c"]


def test_encoding_errors_stop_or_are_replaced(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_bytes(b"good \xff\n")
    with pytest.raises(CorpusError, match="byte 5: invalid UTF-8"):
        Word2Vec(corpus_file=text, **SMALL)
    assert Word2Vec(corpus_file=text, encoding_errors="replace", **SMALL).wv.index_to_key == ["good", "\ufffd"]


# --- vocabulary -------------------------------------------------------------------------------------------------------


def test_min_count_drops_rare_words() -> None:
    assert trained(skewed(), min_count=8).wv.index_to_key == ["w9", "w8"]
    for all_of_them in (0, 1, None):
        assert len(trained(skewed(), min_count=all_of_them).wv) == 9


@pytest.mark.parametrize("name", ["max_vocab_size", "max_final_vocab"])
def test_a_limit_keeps_the_most_frequent_words(name: str) -> None:
    model = trained(skewed(), **{name: 3})
    assert model.wv.index_to_key == ["w9", "w8", "w7"]
    assert model.effective_min_count == 7


def test_max_vocab_size_and_max_final_vocab_are_limits_together() -> None:
    assert len(trained(skewed(), max_vocab_size=4, max_final_vocab=2).wv) == 2
    assert len(trained(skewed(), max_vocab_size=2, max_final_vocab=4).wv) == 2


def test_max_final_vocab_must_be_a_number_of_words() -> None:
    for name in ("max_vocab_size", "max_final_vocab"):
        with pytest.raises(ValueError, match=f"^{name}: "):
            Word2Vec(**{name: 0})


def test_sorted_vocab_off_leaves_words_in_the_order_of_the_text() -> None:
    assert trained(skewed(), sorted_vocab=0).wv.index_to_key == [f"w{n}" for n in range(1, 10)]
    assert trained(skewed(), sorted_vocab=1).wv.index_to_key == [f"w{n}" for n in range(9, 0, -1)]


def test_trim_rule_decides_about_words() -> None:
    model = trained(skewed(), trim_rule=lambda word, *_: RULE_DISCARD if word == "w9" else None, min_count=8)
    assert model.wv.index_to_key == ["w8"]


def test_sample_thins_out_frequent_words() -> None:
    assert trained(sample=0).report.trained_tokens == 2 * 2400
    assert 0 < trained(sample=0.01).report.trained_tokens < 2 * 2000


def test_sample_from_one_on_is_a_count() -> None:
    # each of 20 words occurs about 120 times; int(20 * 2.618) = 52, of 2,400 words
    as_count, as_share = (trained(sample=sample) for sample in (20, 52 / 2400))
    assert training_config(as_count).sample == 52 / 2400
    assert same_bits(as_count, as_share)
    assert as_count.report.trained_tokens < 2 * 2400
    assert trained(sample=2400).report.trained_tokens == 2 * 2400


def test_null_word_is_refused() -> None:
    with pytest.raises(ValueError, match="null_word: expected 0, found 1: contexts at the ends"):
        Word2Vec(null_word=1)


# --- what is trained --------------------------------------------------------------------------------------------------


def test_vector_size_is_the_number_of_dimensions() -> None:
    model = trained(vector_size=7)
    assert model.wv.vectors.shape == (20, 7)
    assert model.wv.vector_size == model.layer1_size == 7


def test_alpha_moves_vectors() -> None:
    small, large = trained(alpha=1e-4), trained(alpha=0.1)
    start = Word2Vec(**SMALL)
    start.build_vocab(two_topics())
    moved_little, moved_much = (np.abs(model.wv.vectors - start.wv.vectors).max() for model in (small, large))
    assert moved_little < 0.01 < moved_much


def test_min_alpha_is_reached() -> None:
    assert trained(min_alpha=0.03).min_alpha_yet_reached == pytest.approx(0.03)
    assert trained(min_alpha=0.1).min_alpha_yet_reached == pytest.approx(0.1)
    with pytest.raises(ValueError, match="min_alpha: expected a number from 0 to alpha"):
        Word2Vec(alpha=0.01, min_alpha=0.02)


def test_window_bounds_the_distance() -> None:
    assert pairs(trained(window=1)) == 300 * 14  # sentences of 8 words
    assert pairs(trained(window=7, shrink_windows=False)) == 300 * 56


def test_shrink_windows_draws_their_sizes() -> None:
    full = 300 * 2 * (7 + 6)
    assert pairs(trained(window=2, shrink_windows=False)) == full
    assert 300 * 14 < pairs(trained(window=2, shrink_windows=True)) < full


def test_sg_chooses_between_skipgram_and_cbow() -> None:
    assert pairs(trained(sg=1)) > pairs(trained(sg=0)) == 2400  # CBOW has one pair a window
    assert Word2Vec().sg == 0


def test_hs_trains_nodes_of_a_tree_beside_or_instead_of_negatives() -> None:
    both, alone, neither = trained(hs=1), trained(hs=1, negative=0), trained()
    for model in (both, alone):
        assert model.syn1 is not None
        assert model.syn1.shape == (19, 24)
        assert model.syn1.any()
    assert both.syn1neg is not None
    assert both.syn1neg.any()
    assert alone.syn1neg is None
    assert neither.syn1 is None


def test_negative_is_how_many_a_pair_is_trained_with() -> None:
    few, many = (mean_loss(negative=negative, negatives_from="window") for negative in (1, 20))
    assert np.log(2) < few <= 2 * np.log(2)  # of untrained vectors, log 2 each; one that is the center is left out
    assert 18 * np.log(2) < many <= 21 * np.log(2)
    with pytest.raises(ValueError, match=r"^negative: "):
        Word2Vec(negative=0)


def test_ns_exponent_shapes_the_noise() -> None:
    sentences = [*two_topics(), ["alone"]]  # which is no context, and so changes as a negative only
    drawn, not_drawn = trained(sentences, ns_exponent=0.75), trained(sentences, ns_exponent=20)
    for model, changes in ((drawn, True), (not_drawn, False)):
        assert model.syn1neg is not None
        assert bool(model.syn1neg[model.wv.get_index("alone")].any()) == changes


def test_cbow_mean_off_sums_the_contexts() -> None:
    summed, mean = trained(sg=0, cbow_mean=0), trained(sg=0, cbow_mean=1)
    assert not same_bits(summed, mean)
    one_context = {"sg": 0, "window": 1, "shrink_windows": False, "sentences": [["a", "b"]] * 50}
    assert same_bits(trained(**one_context, cbow_mean=0), trained(**one_context, cbow_mean=1))


def test_cbow_gradient_exact_gives_each_context_its_share() -> None:
    assert not same_bits(trained(sg=0, cbow_gradient="exact"), trained(sg=0))
    assert same_bits(trained(sg=0, cbow_mean=0, cbow_gradient="exact"), trained(sg=0, cbow_mean=0))


def test_epochs_are_passes() -> None:
    assert len(trained(epochs=3).report.epochs) == 3


def test_seed_decides_every_draw() -> None:
    assert same_bits(trained(seed=4), trained(seed=4))
    assert not same_bits(trained(seed=4), trained(seed=5))


def test_negatives_from_says_who_shares_them() -> None:
    models = [trained(negatives_from=who) for who in ("pair", "window", "pool", "batch")]
    assert not any(same_bits(one, other) for one, other in combinations(models, 2))
    assert same_bits(trained(), models[-1])


@pytest.mark.parametrize("negatives_from", ["pool", "batch"])
def test_pool_is_how_many_windows_share(negatives_from: str) -> None:
    assert not same_bits(*(trained(negatives_from=negatives_from, pool=pool) for pool in (2, 8)))
    assert same_bits(*(trained(negatives_from="window", pool=pool) for pool in (2, 8)))


def test_pool_negatives_are_drawn_for_a_batch_and_count_as_negative() -> None:
    few, many = mean_loss(pool_negatives=2), mean_loss(pool_negatives=40)
    assert few == pytest.approx(many, rel=0.1)
    assert not same_bits(trained(pool_negatives=2), trained(pool_negatives=40))
    assert same_bits(trained(), trained(pool_negatives=8))


def test_products_of_bfloat16_train_six_windows_together() -> None:
    rounded = trained(products="bfloat16")
    assert same_bits(rounded, trained(products="bfloat16", pool=6, pool_negatives=10))
    assert not same_bits(rounded, trained(products="float32"))


# --- machine ----------------------------------------------------------------------------------------------------------


def test_workers_are_threads() -> None:
    assert trained(workers=2).report.threads == 2
    assert trained(workers=None).report.threads == usable_cores()


def test_backend_chooses_kernels() -> None:
    assert trained(backend="torch").report.backend == "torch"


def test_device_that_is_not_here_is_told_of() -> None:
    with pytest.raises(RuntimeError, match=r"^device 'cuda:99'"):
        trained(device="cuda:99")


def test_table_dtype_halves_the_tables() -> None:
    model = trained(table_dtype="bfloat16")
    assert model.tables.in_padded.dtype == torch.bfloat16
    assert model.wv.vectors.dtype == np.float32


def test_write_back_is_checked() -> None:
    assert training_config(Word2Vec(write_back="store")).write_back == "store"
    with pytest.raises(ValueError, match=r"^write_back: "):
        Word2Vec(write_back="later")  # type: ignore[arg-type]


# --- all of them ------------------------------------------------------------------------------------------------------


def test_every_argument_has_a_test_here() -> None:
    elsewhere = {"hashfxn", "batch_words", "compute_loss", "comment", "callbacks", "unknown"}
    names = set(inspect.signature(Word2Vec).parameters) - elsewhere
    assert {name for name in names if not any(test.startswith(f"test_{name}_") for test in globals())} == set()
