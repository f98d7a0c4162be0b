"""The settings of Word2Vec as gensim names them, and the configurations that they come to."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

from pyembed.config import (
    Backend,
    CbowGradient,
    CorpusConfig,
    EncodingErrors,
    NegativesFrom,
    Products,
    TableDtype,
    Tokenizer,
    TrainConfig,
    WriteBack,
)
from pyembed.corpus import Vocabulary


class Settings:
    """Plain attributes, which may be changed at any time; they are read, and checked, when a method uses them."""

    vector_size: int
    """D, the number of dimensions."""
    alpha: float
    """Learning rate at the start."""
    window: int
    """Largest distance between a center and a context, in kept tokens."""
    min_count: int | None
    """Words that occur less often are dropped; 0 and None keep all, as 1 does."""
    max_vocab_size: int | None
    """Keep at most so many words. gensim prunes while it counts; here all are counted and the most frequent stay."""
    sample: float
    """Below 1: words above this share of the corpus are thinned out. From 1 on: those above this count."""
    seed: int
    """Key of every random draw."""
    workers: int | None
    """Threads; None: all cores that this process may use."""
    min_alpha: float
    """Learning rate at the end."""
    sg: int
    """1: skip-gram; 0: CBOW."""
    hs: int
    """1: hierarchical softmax, beside negative sampling unless `negative` is 0."""
    negative: int
    """Negatives that a pair is trained with."""
    ns_exponent: float
    """Negatives are drawn in proportion to count ** ns_exponent."""
    cbow_mean: int
    """1: CBOW predicts from the mean of the contexts; 0: from their sum."""
    epochs: int
    """Passes over the corpus."""
    null_word: int
    """0 only."""
    sorted_vocab: int
    """1: the most frequent words come first; 0: words stay in the order of their first appearance."""
    batch_words: int
    """Not used: blocks of the corpus are cut by tokens, and results do not depend on where."""
    compute_loss: bool
    """Not used: the loss is always computed, since it costs nothing."""
    comment: str | None
    """Words of your own, kept with the model."""
    max_final_vocab: int | None
    """Keep only so many of the most frequent words."""
    shrink_windows: bool
    """Each window's size is drawn from 1 to `window`; False: it is `window`."""
    lowercase: bool
    tokenizer: Tokenizer
    encoding_errors: EncodingErrors
    negatives_from: NegativesFrom | None
    pool: int | None
    pool_negatives: int | None
    products: Products | None
    cbow_gradient: CbowGradient
    backend: Backend
    device: str
    table_dtype: TableDtype
    write_back: WriteBack

    vocabulary: Vocabulary
    """Words and counts, by id; none before there is a vocabulary."""


SETTINGS: tuple[str, ...] = tuple(name for name in Settings.__annotations__ if name != "vocabulary")
"""The attributes that are settings, with values that JSON can hold."""

COUNTERS: tuple[str, ...] = (
    "epochs_trained",
    "corpus_count",
    "corpus_total_words",
    "train_count",
    "total_train_time",
    "running_training_loss",
    "min_alpha_yet_reached",
)
"""The attributes that count what was done."""

_ALIKE = (
    "vector_size",
    "window",
    "negative",
    "ns_exponent",
    "epochs",
    "alpha",
    "min_alpha",
    "seed",
    "negatives_from",
    "pool",
    "pool_negatives",
    "products",
    "cbow_gradient",
    "backend",
    "device",
    "table_dtype",
    "write_back",
)
"""Settings that TrainConfig knows by the same name, as the same value."""

_SWITCHES = ("sg", "hs", "cbow_mean", "sorted_vocab", "compute_loss", "shrink_windows")

_RENAMED = {
    "size": "vector_size",
    "iter": "epochs",
    "dim": "vector_size",
    "threads": "workers",
    "model": "sg (1: skip-gram, 0: CBOW)",
    "training": "Word2Vec.from_configs(training, corpus)",
    "corpus": "Word2Vec.from_configs(training, corpus)",
}
"""Names of gensim 3, and of the configurations, with what they are here."""


def training_config(model: Settings) -> TrainConfig:
    """How to train, with `sample` as a share of the vocabulary's words.

    Raises:
        ValueError: a setting is out of its range; the message names it, what was expected and what was found.
    """
    for name in _SWITCHES:
        _switch(model, name)
    if model.null_word:
        raise ValueError(
            f"null_word: expected 0, found {model.null_word!r}: contexts at the ends of sentences are left out, "
            "as word2vec leaves them, and not filled up with a word that stands for nothing"
        )
    workers: Any = model.workers
    if workers is not None and not (isinstance(workers, Integral) and int(workers) >= 1):
        raise ValueError(f"workers: expected a whole number >= 1, or None for all cores, found {model.workers!r}")
    return TrainConfig(
        model="skipgram" if _switch(model, "sg") else "cbow",
        hs=_switch(model, "hs"),
        cbow_mean=_switch(model, "cbow_mean"),
        shrink_windows=_switch(model, "shrink_windows"),
        threads=model.workers,
        sample=_share_to_sample(model),
        **{name: getattr(model, name) for name in _ALIKE},
    )


def corpus_config(model: Settings) -> CorpusConfig:
    """How text becomes words, and words a vocabulary where no rule of its own says otherwise.

    Raises:
        ValueError: as `training_config`.
    """
    options: dict[str, Any] = {name: getattr(model, name) for name in ("lowercase", "tokenizer", "encoding_errors")}
    CorpusConfig(max_final_vocab=model.max_final_vocab)
    if model.max_vocab_size is not None and model.max_vocab_size < 1:
        raise ValueError(f"max_vocab_size: expected at least 1, or None for all, found {model.max_vocab_size!r}")
    limits = [limit for limit in (model.max_vocab_size, model.max_final_vocab) if limit is not None]
    return CorpusConfig(min_count=model.min_count or 1, max_final_vocab=min(limits, default=None), **options)


def settings_of(training: TrainConfig, corpus: CorpusConfig) -> dict[str, Any]:
    """The settings that come to these configurations, by name, for the constructor."""
    settings = {**training.to_dict(), **corpus.to_dict(), "alpha": training.learning_rate}
    sg, workers = int(settings.pop("model") == "skipgram"), settings.pop("threads")
    return {**settings, "sg": sg, "workers": workers}


def require_known(caller: str, unknown: Iterable[str], known: Iterable[str]) -> None:
    """Raises TypeError where somebody named what there is not, with the name of today or the nearest one."""
    for name in unknown:
        hint = ""
        if name in _RENAMED:
            hint = f"; use {_RENAMED[name]}"
        elif near := difflib.get_close_matches(name, list(known), n=1):
            hint = f"; did you mean {near[0]!r}?"
        raise TypeError(f"{caller} has no option {name!r}{hint}")


def _switch(model: Settings, name: str) -> bool:
    value = getattr(model, name)
    if value not in (0, 1):
        raise ValueError(f"{name}: expected 0 or 1, found {value!r}")
    return bool(value)


def _share_to_sample(model: Settings) -> Any:
    """`sample` as a share. As a count, gensim's: words above about 2.6 times it, (3 + sqrt 5) / 2, are thinned out."""
    sample: Any = model.sample
    if not isinstance(sample, Real) or not 1 <= float(sample) < math.inf:
        return sample  # a share, or nothing that TrainConfig takes
    count = int(float(sample) * (3 + math.sqrt(5)) / 2)
    return min(1.0, count / max(model.vocabulary.total, 1))
