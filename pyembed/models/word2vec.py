"""Word2Vec: from text to word vectors, with gensim's arguments, methods and attributes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

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
from pyembed.models import predictions
from pyembed.models.callbacks import require_callbacks
from pyembed.models.fitting import TrainableModel
from pyembed.models.gensim_names import explain
from pyembed.models.model_files import read_model, restore_model, save_model
from pyembed.models.settings import SETTINGS, corpus_config, require_known, settings_of, training_config
from pyembed.models.text_source import Files, PathLike, Sentences, TextSource
from pyembed.models.vocabularies import TrimRule


class Word2Vec(TrainableModel):
    """Skip-gram and CBOW with negative sampling, hierarchical softmax or both (Mikolov et al. 2013, arXiv:1310.4546).

    Settings, counters, `wv`, `vocabulary`, `tables` and `report` are attributes; see `settings.Settings` and
    `state.ModelState` for what each is. Settings may be changed at any time; they are read when a method begins.
    """

    def __init__(
        self,
        sentences: Sentences | None = None,
        corpus_file: Files | None = None,
        vector_size: int = 100,
        alpha: float = 0.025,
        window: int = 5,
        min_count: int | None = 5,
        max_vocab_size: int | None = None,
        sample: float = 1e-3,
        seed: int = 1,
        workers: int | None = None,
        min_alpha: float = 1e-4,
        sg: int = 0,
        hs: int = 0,
        negative: int = 5,
        ns_exponent: float = 0.75,
        cbow_mean: int = 1,
        hashfxn: Callable[[str], int] = hash,
        epochs: int = 5,
        null_word: int = 0,
        trim_rule: TrimRule | None = None,
        sorted_vocab: int = 1,
        batch_words: int = 10000,
        compute_loss: bool = False,
        callbacks: Iterable[object] = (),
        comment: str | None = None,
        max_final_vocab: int | None = None,
        shrink_windows: bool = True,
        *,
        lowercase: bool = False,
        tokenizer: Tokenizer = "whitespace",
        encoding_errors: EncodingErrors = "strict",
        negatives_from: NegativesFrom | None = None,
        pool: int | None = None,
        pool_negatives: int | None = None,
        products: Products | None = None,
        cbow_gradient: CbowGradient = "word2vec",
        backend: Backend = "auto",
        device: str = "cpu",
        table_dtype: TableDtype = "float32",
        write_back: WriteBack = "add",
        **unknown: Any,
    ) -> None:
        """Trains at once where there is a text to train on; it is gone through once, so a generator will do.

        Args:
            sentences: lists of tokens, or strings that are split at white space.
            corpus_file: a file, folder or glob, or several, one sentence a line; also .gz, .bz2, .zst.
            vector_size: D, the number of dimensions. 1 to 65,536.
            alpha, min_alpha: learning rate at the start and, reached linearly, at the end. 0 <= min_alpha <= alpha.
            window: largest distance between a center and a context, in kept tokens. 1 to 1,000.
            min_count: words that occur less often are dropped. 0 and None keep all, as 1 does.
            max_vocab_size, max_final_vocab: keep only so many of the most frequent words, exactly.
            sample: below 1, words above this share of the corpus are thinned out; from 1 on those above this count.
            seed: of every random draw, 0 to 2**63 - 1. With one worker the same seed gives the same vectors.
            workers: threads; None: all cores that this process may use.
            sg: 1 for skip-gram, 0 for CBOW.
            hs: 1 for hierarchical softmax; beside it `negative`, unless that is 0.
            negative: negatives that a pair is trained with. 1 to 1,000, or 0 with hs.
            ns_exponent: negatives are drawn in proportion to count ** ns_exponent.
            cbow_mean: 1 to predict from the mean of the contexts, 0 from their sum.
            hashfxn: not used: vectors start from (seed, row), not from a hash of the word.
            epochs: passes over the corpus.
            null_word: 0 only.
            trim_rule: (word, count, min_count) -> RULE_DEFAULT, RULE_DISCARD or RULE_KEEP, of each counted word.
            sorted_vocab: 1: the most frequent words come first; 0: words in the order of their first appearance.
            batch_words: not used: blocks of the corpus are cut by tokens, and results do not depend on where.
            compute_loss: not used: the loss is always computed, since it costs nothing.
            callbacks: see `callbacks.CallbackAny2Vec`; called in every training that is not given others.
            comment: words of your own, kept with the model.
            shrink_windows: draw each window's size from 1 to `window`; False: all are of size `window`.
            lowercase, tokenizer, encoding_errors: as CorpusConfig has them.
            negatives_from, pool, pool_negatives, products, cbow_gradient, backend, device, table_dtype, write_back: as
                TrainConfig has them.

        Raises:
            ValueError: a setting is out of its range.
            TypeError: there is no option of that name, or both sentences and corpus_file were given.
            Others: as `build_vocab` and `train`.
        """
        given = dict(locals())
        require_known(type(self).__name__, unknown, SETTINGS)
        for name in SETTINGS:
            setattr(self, name, given[name])
        self.hashfxn = hashfxn
        self.trim_rule = trim_rule
        self.callbacks = require_callbacks(callbacks)
        self._forget()
        training_config(self), corpus_config(self)
        if sentences is not None or corpus_file is not None:
            self._read(TextSource(sentences, corpus_file, workers))()

    @classmethod
    def from_configs(cls, training: TrainConfig, corpus: CorpusConfig) -> Self:
        """A model with the settings of configurations."""
        return cls(**settings_of(training, corpus))

    def __repr__(self) -> str:
        return f"{type(self).__name__}<vocab={len(self.wv)}, vector_size={self.vector_size}, alpha={self.alpha}>"

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(explain(name))

    def save(
        self,
        path: PathLike,
        separately: object = None,  # noqa: ARG002
        sep_limit: int = 0,  # noqa: ARG002
        ignore: Collection[str] = (),
        pickle_protocol: object = None,  # noqa: ARG002
    ) -> None:
        """Writes one file, whatever its suffix, from which training can go on; see `model_files`.

        separately, sep_limit and pickle_protocol are not used: nothing is pickled, nor parted into more files.

        Raises:
            ValueError: as model_files.save_model, for `ignore` among others.
            pyembed.vectors.VectorFileError: a setting or a value that the file cannot hold.
            OSError: the file cannot be written.
        """
        save_model(self, path, ignore)

    @classmethod
    def load(cls, fname: PathLike, mmap: object = None, rethrow: bool = False, **settings: Any) -> Self:  # noqa: ARG003
        """Reads what `save` wrote.

        Args:
            fname: the file.
            mmap, rethrow: not used: what is trained lies in memory; KeyedVectors.load(path, mmap=True) reads a model's
                vectors alone and leaves them in the file.
            settings: instead of those saved, `workers` or `device` for example.

        Raises:
            pyembed.vectors.VectorFileError: a file of another kind, gensim's for example, or a damaged one.
            OSError: the file cannot be read.
            TypeError, ValueError: a setting that there is not, or that does not fit.
            MachineError: the device or the backend is not to be had here.
        """
        saved = read_model(fname)
        model = cls(**{**saved.settings, **settings})
        restore_model(model, saved)
        return model

    def predict_output_word(
        self, context_words_list: Iterable[str | int], topn: int | None = 10
    ) -> list[tuple[str, float]] | None:
        """The likeliest words in the middle of others; see `predictions.predict_output_word`."""
        return predictions.predict_output_word(self, context_words_list, topn)

    def score(
        self,
        sentences: Iterable[Sequence[str]],
        total_sentences: int | None = None,
        chunksize: int = 100,  # noqa: ARG002
        queue_factor: int = 2,  # noqa: ARG002
        report_delay: float = 1,  # noqa: ARG002
    ) -> NDArray[np.float64]:
        """The log-likelihood of each sentence; see `predictions.score`. The last three arguments are not used."""
        return predictions.score(self, sentences, total_sentences)

    def estimate_memory(self, vocab_size: int | None = None, report: Mapping[str, int] | None = None) -> dict[str, int]:
        """Bytes that a model of these settings takes, by part; see `predictions.estimate_memory`."""
        return predictions.estimate_memory(self, vocab_size, report)
