"""What gensim 4.4 does wrong without a word, or hangs at, each with a test that it is right here."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyembed import CallbackAny2Vec, Word2Vec

TESTED_ELSEWHERE = {
    "a sum of losses in float32, to which threads add at the same time": (
        "test_word2vec_training.py::test_the_loss_does_not_depend_on_threads"
    ),
    "intersect_word2vec_format fails on text and binary files": (
        "test_gensim_vectors.py::test_intersect_word2vec_format_takes_the_words_that_both_have"
    ),
    "a word twice in a file leaves the word None with a row of zeros": (
        "test_gensim_vectors.py::test_a_word_twice_in_a_file_is_refused_or_left_out_and_leaves_no_empty_key"
    ),
    "add_vectors(extras=...) fails": "test_gensim_vectors.py::test_add_vectors_takes_extras",
    "NaN in a file is taken silently": (
        "test_gensim_vectors.py::test_vectors_that_are_no_numbers_are_told_of_and_never_found"
    ),
    "neighbors of a vector of zeros are NaN": (
        "test_gensim_vectors.py::test_zero_vectors_have_no_direction_and_make_no_nan"
    ),
    "restrict_vocab is ignored by 3CosMul": "test_gensim_vectors.py::test_restrict_vocab_counts_for_3cosmul_too",
    "GloVe's words with spaces and files without a header are refused": (
        "test_text_formats.py::test_glove_words_may_hold_spaces_and_numbers"
    ),
    "pairs of words must be separated by the one character that was named": (
        "test_evaluation.py::test_pairs_may_be_separated_by_tabs_commas_or_spaces"
    ),
    "max_sentence_length=0 never ends": (
        "test_line_sentences.py::test_damaged_files_missing_files_and_bad_arguments_are_told"
    ),
    "predict_output_word overflows where weights are large": (
        "test_predictions.py::test_probabilities_are_those_of_all_words_however_large_the_weights"
    ),
    "a pickle runs programs when it is loaded": (
        "test_model_files.py::test_a_pickle_is_named_and_never_read_whatever_its_name"
    ),
    "a saved model that goes on differs from one that was not saved": (
        "test_word2vec_files.py::test_a_loaded_model_goes_on_as_if_it_had_not_been_away"
    ),
    "pruned vocabularies are miscounted": "test_word2vec_settings.py::test_a_limit_keeps_the_most_frequent_words",
    "build_vocab(update=True) fails or forgets": (
        "test_word2vec_vocabulary.py::test_an_update_keeps_trained_vectors_exactly_and_starts_new_ones"
    ),
}
"""Trap and test."""

SENTENCES = [["a", "b", "c", "d"], ["c", "b", "e"]] * 30


def model_of(sentences: Any = SENTENCES, **settings: Any) -> Word2Vec:
    return Word2Vec(sentences, **{"vector_size": 8, "min_count": 1, "sample": 0, "workers": 1, "seed": 1, **settings})


@pytest.mark.parametrize(("trap", "place"), TESTED_ELSEWHERE.items())
def test_a_trap_has_its_test(trap, place):
    file, name = place.split("::")
    tree = ast.parse((Path(__file__).parent / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, trap


@pytest.mark.parametrize("setting", ["window", "vector_size", "epochs"])
def test_a_setting_that_cannot_be_is_an_error_at_once_and_no_hang(setting):
    with pytest.raises(ValueError, match=f"{setting}.* found 0"):
        Word2Vec(SENTENCES, min_count=1, **{setting: 0})
    model = model_of()
    setattr(model, setting, 0)
    with pytest.raises(ValueError, match=f"{setting}: expected a whole number .*, found 0"):
        model.train(SENTENCES)


def test_an_error_while_sentences_are_made_reaches_the_caller():
    def sentences():
        yield from SENTENCES
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        Word2Vec(sentences(), min_count=1)
    with pytest.raises(OSError, match="the disk is gone"):
        model_of().train(sentences())


@pytest.mark.parametrize("workers", [1, 2])
def test_a_sentence_of_20000_words_is_trained_whole(workers):
    long = [list("abcdefgh") * 2_500]
    model = model_of(long, epochs=1, workers=workers)
    assert model.corpus_total_words == 20_000
    assert model.train(long, epochs=3) == (60_000, 60_000)


def test_a_generator_will_do():
    model = model_of(iter(SENTENCES), epochs=2)
    np.testing.assert_array_equal(model.wv.vectors, model_of(epochs=2).wv.vectors)


def test_max_final_vocab_keeps_so_many_words_and_not_none_where_counts_are_equal():
    assert model_of([["x", "y", "z"]] * 9, max_final_vocab=2).wv.index_to_key == ["x", "y"]


@pytest.mark.parametrize("dot", [8.0, -8.0])
@pytest.mark.parametrize("sg", [0, 1])
def test_pairs_are_trained_however_sure_the_model_is(sg, dot):
    model = Word2Vec(vector_size=1, min_count=1, sample=0, workers=1, sg=sg, alpha=0.5)
    model.build_vocab([["a", "b"]] * 5)
    model.wv.vectors[:] = dot
    model.syn1neg[:] = 1
    model.train([["a", "b"]] * 5, epochs=1)
    assert (model.wv.vectors != dot).all()


class Losses(CallbackAny2Vec):
    """The sum of losses after each epoch."""

    def __init__(self) -> None:
        self.sums: list[float] = []

    def on_epoch_end(self, model: Word2Vec) -> None:
        self.sums.append(model.get_latest_training_loss())


def test_the_loss_counts_on_past_two_to_the_27th_and_past_products_of_six():
    model = Word2Vec(vector_size=1, min_count=1, sample=0, workers=1, alpha=1e-9, min_alpha=1e-9)
    text = [list("abcdefgh") * 500]
    model.build_vocab(text)
    model.wv.vectors[:] = -1e4
    model.syn1neg[:] = 1e2  # a loss of a million for each pair
    losses = Losses()
    model.train(text, epochs=4, callbacks=[losses])
    of_each_epoch = np.diff([0.0, *losses.sums])
    assert losses.sums[0] > 2**27
    np.testing.assert_allclose(of_each_epoch, 4_000 * 1e6, rtol=1e-3)


def test_the_loss_is_counted_without_being_asked_for():
    model = model_of(compute_loss=False)
    assert model.get_latest_training_loss() == pytest.approx(model_of(compute_loss=True).get_latest_training_loss())
    assert model.get_latest_training_loss() > 0


def test_an_error_of_a_callback_ends_training_and_is_raised():
    class Stop(CallbackAny2Vec):
        def on_epoch_end(self, model):
            raise StopIteration(model.epochs_trained)

    model = model_of()
    with pytest.raises((StopIteration, RuntimeError)):
        model.train(SENTENCES, epochs=3, callbacks=[Stop()])
    assert model.train(SENTENCES, epochs=1)[1] == sum(map(len, SENTENCES))


def test_learning_rates_never_fall_below_zero_without_a_word():
    model = model_of(alpha=0.025, min_alpha=0.025)
    for _ in range(2):
        model.train(SENTENCES, epochs=1)
        model.alpha -= 0.015
        model.min_alpha = model.alpha
    assert model.alpha < 0
    with pytest.raises(ValueError, match=r"alpha: expected a finite number > 0, found -0\.00"):
        model.train(SENTENCES, epochs=1)


def test_used_up_sentences_are_an_error_and_no_training_on_nothing():
    sentences = iter(SENTENCES)
    model = Word2Vec(vector_size=4, min_count=1)
    model.build_vocab(sentences)
    with pytest.raises(ValueError, match="only once"):
        model.train(sentences, total_examples=model.corpus_count, epochs=2)
