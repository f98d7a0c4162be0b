"""Promises of Word2Vec: text in, vectors that know its topics out, and a report that tells the truth."""

from __future__ import annotations

import gzip
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_texts import SMALL, interrupt_third_step, two_topics

from pyembed import CorpusConfig, TrainConfig, Vocabulary, Word2Vec, ops, reference
from pyembed.config import Backend, NegativesFrom
from pyembed.corpus import CorpusError
from pyembed.models.settings import corpus_config, training_config
from pyembed.ops import machine
from pyembed.training.loop import TrainingError

BACKENDS: tuple[Backend, ...] = ("native", "torch")
ENGLISH = Path(__file__).parents[2] / "shared" / "data" / "corpora" / "english-1m.txt.gz"


def fit(backend: Backend = "auto", **options: Any) -> Word2Vec:
    return Word2Vec(**{**SMALL, "epochs": 6, "backend": backend, **options}).fit(two_topics())


# --- what is learnt ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"sg": 1}, {"sg": 0}, {"sg": 0, "cbow_mean": 0}])
@pytest.mark.parametrize(("negatives_from", "nearest"), [("window", 5), ("batch", 3)])
def test_topics_are_told_apart(
    options: dict[str, Any], negatives_from: NegativesFrom, nearest: int, backend: Backend
) -> None:
    """Of 20 words a batch passes over many draws, and tells topics apart less clearly."""
    wv = fit(backend, negatives_from=negatives_from, **options).wv
    topic = np.array([word[0] for word in wv.index_to_key])
    unit = wv.vectors / np.linalg.norm(wv.vectors, axis=1, keepdims=True)
    cosine, same = unit @ unit.T, topic[:, None] == topic[None, :]
    assert cosine[same].mean() > cosine[~same].mean() + 0.5
    for word in wv.index_to_key:
        assert all(neighbour[0] == word[0] for neighbour, _ in wv.most_similar(word, topn=nearest))


@pytest.mark.parametrize("sg", [0, 1])
def test_the_loss_falls_from_epoch_to_epoch(sg: int, backend: Backend) -> None:
    report = fit(backend, sg=sg).report
    losses = [epoch.loss for epoch in report.epochs]
    # untrained: log 2 for the center and for each of five negatives, of which few equal the center
    assert losses[0] < 6 * np.log(2)
    assert losses[-1] < losses[0] - 0.2
    assert all(after < before + 0.05 for before, after in itertools.pairwise(losses))


@pytest.mark.parametrize("sg", [0, 1])
def test_both_backends_reach_the_same_loss(sg: int) -> None:
    if not ops.status().native:
        pytest.skip(f"the compiled kernels are missing: {ops.status().reason}")
    native, fallback = (fit(backend, sg=sg).report.epochs[-1].loss for backend in BACKENDS)
    assert native == pytest.approx(fallback, rel=0.03)


def test_real_text_gives_sensible_neighbours(tmp_path: Path) -> None:
    if not ENGLISH.exists():
        pytest.skip("the English sample is not beside the repository, in ../shared/data")
    if not ops.status().native:
        pytest.skip("the PyTorch kernels take minutes for a million tokens")
    text = tmp_path / "text.txt"
    text.write_bytes(gzip.decompress(ENGLISH.read_bytes()))
    model = Word2Vec(sg=1, vector_size=50, epochs=2, workers=2).fit_files([text])
    assert model.report.epochs[1].loss < model.report.epochs[0].loss
    assert model.report.raw_tokens == 1_000_023
    wv = model.wv

    def cosine(a: str, b: str) -> float:
        return float(wv[a] @ wv[b] / np.linalg.norm(wv[a]) / np.linalg.norm(wv[b]))

    for word, near, far in [("city", "town", "she"), ("he", "she", "percent"), ("film", "movie", "river")]:
        assert cosine(word, near) > cosine(word, far)


# --- the same again ---------------------------------------------------------------------------------------------------


def test_one_thread_repeats_bit_for_bit(backend: Backend) -> None:
    assert np.array_equal(fit(backend, epochs=2).wv.vectors, fit(backend, epochs=2).wv.vectors)


def test_seeds_differ(backend: Backend) -> None:
    assert not np.array_equal(fit(backend, epochs=1).wv.vectors, fit(backend, epochs=1, seed=2).wv.vectors)


def test_files_and_sentences_in_memory_train_alike(tmp_path: Path) -> None:
    sentences = two_topics()
    text = tmp_path / "text.txt"
    text.write_text("".join(" ".join(sentence) + "\n" for sentence in sentences))
    expected = fit(epochs=1).wv
    for found in (
        Word2Vec(**{**SMALL, "epochs": 1}).fit_files([text]).wv,
        Word2Vec(**{**SMALL, "epochs": 1}).fit(" ".join(sentence) for sentence in sentences).wv,
    ):
        assert found.index_to_key == expected.index_to_key
        assert np.array_equal(found.vectors, expected.vectors)


# --- what is reported -------------------------------------------------------------------------------------------------


def test_the_report_counts_tokens(backend: Backend) -> None:
    model = fit(backend, sample=0.02, epochs=3, min_count=112)
    report, counts = model.report, model.vocabulary.counts
    assert report.raw_tokens == 2400
    assert report.kept_tokens == counts.sum() < 2400
    assert report.vocabulary == len(model.vocabulary) == len(model.wv.index_to_key)
    assert report.sentences == 300
    assert len(report.epochs) == 3
    assert report.trained_tokens == sum(epoch.trained_tokens for epoch in report.epochs)
    assert 0 < report.trained_tokens < 3 * report.kept_tokens
    assert report.backend == backend
    assert report.simd == (ops.status().simd if backend == "native" else "none")
    assert (report.device, report.threads, report.interrupted) == ("cpu", 1, False)
    assert report.stages.keys() == {"read", "prepare", "train"}
    seconds = sum(epoch.seconds for epoch in report.epochs)
    assert report.trained_words_per_second == pytest.approx(report.trained_tokens / seconds)
    assert report.raw_words_per_second == pytest.approx(3 * 2400 / seconds)
    assert report.to_dict()["epochs"][0]["loss"] == report.epochs[0].loss


def test_without_subsampling_every_token_is_trained(backend: Backend) -> None:
    report = fit(backend, epochs=2).report
    assert report.trained_tokens == 2 * report.kept_tokens == 2 * 2400


def test_vectors_tables_and_vocabulary_agree() -> None:
    model = fit(epochs=1)
    assert model.wv.vectors.dtype == np.float32
    assert model.wv.vectors.shape == model.tables.out_vectors.shape == (20, 24)
    assert np.array_equal(model.wv.vectors, model.tables.in_vectors.numpy())
    assert model.wv.index_to_key == model.vocabulary.words
    assert model.tables.out_vectors.any()


def test_a_given_vocabulary_is_used_as_it_is() -> None:
    vocabulary = Vocabulary.from_counts(["b1", "never", "a3"], [5, 3, 2])
    model = Word2Vec(**{**SMALL, "epochs": 1}).fit(two_topics(), vocabulary=vocabulary)
    assert model.wv.index_to_key == ["b1", "never", "a3"]
    initial = reference.initial_in_vectors(3, 24, model.seed)
    assert torch.equal(model.tables.in_vectors[1], initial[1])  # a word that does not occur is no context
    assert not torch.equal(model.tables.in_vectors[0], initial[0])


def test_sentences_of_one_word_train_nothing(backend: Backend) -> None:
    model = Word2Vec(**{**SMALL, "backend": backend, "epochs": 1}).fit([["x"], ["y"], ["x"]])
    assert torch.equal(model.tables.in_vectors, reference.initial_in_vectors(2, 24, 1))
    assert not model.tables.out_vectors.any()
    assert (model.report.epochs[0].pairs, model.report.epochs[0].loss) == (0, 0)


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_an_interruption_leaves_what_was_trained(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = interrupt_third_step(monkeypatch)
    model = fit(backend, epochs=4)
    assert len(calls) == 3
    assert model.report.interrupted
    assert len(model.report.epochs) == 1
    assert model.report.trained_tokens == 1000
    assert model.report.epochs[0].pairs > 0
    assert np.isfinite(model.wv.vectors).all()
    assert model.tables.out_vectors.any()
    assert len(model.wv.most_similar("a1", topn=3)) == 3


def test_a_diverging_run_ends_with_an_error_and_no_vectors(backend: Backend) -> None:
    model = Word2Vec(**{**SMALL, "alpha": 1e30, "backend": backend})
    with pytest.raises(TrainingError, match="lower alpha"):
        model.fit(two_topics())
    assert len(model.wv) == len(model.vocabulary) == 0
    assert not hasattr(model, "tables")


def test_configurations_make_the_same_model() -> None:
    training = TrainConfig(model="cbow", window=3, negative=2, threads=2, cbow_mean=False)
    corpus = CorpusConfig(lowercase=True, min_count=2)
    model = Word2Vec.from_configs(training, corpus)
    assert training_config(model) == replace(training, alpha=0.05)  # word2vec's of CBOW, where none is said
    assert corpus_config(model) == corpus


def test_native_without_compiled_kernels_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "is_native", lambda *_: False)
    with pytest.raises(RuntimeError, match="backend 'native': expected a compiled kernel"):
        fit("native")


def test_no_word_at_all_is_an_error() -> None:
    with pytest.raises(CorpusError, match="min_count"):
        Word2Vec(min_count=5).fit([["once"]])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("sg", [0, 1])
def test_a_gpu_learns_what_the_cpu_learns(sg: int) -> None:
    sentences = [f"a{i % 7} b{i % 5} c{i % 3} d{i % 2}" for i in range(400)]
    on_cpu, on_gpu = (
        Word2Vec(sg=sg, vector_size=20, min_count=1, backend="torch", device=device).fit(sentences).wv.vectors
        for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(on_gpu, on_cpu, atol=1e-4)
