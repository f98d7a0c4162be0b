"""gensim's Word2Vec through `corpus_file`, its compiled path, the fastest it has."""

from __future__ import annotations

import time

from pyembed.bench.job import Job, Outcome
from pyembed.bench.machine import version_of

INSTALL = "pip install gensim"
NOTE = "through `corpus_file`, its compiled path."
WHOLE = True


def installed() -> str | None:
    return version_of("gensim")


def train(job: Job) -> Outcome:
    from gensim.models.word2vec import CORPUSFILE_VERSION, Word2Vec

    if CORPUSFILE_VERSION < 0:
        raise RuntimeError("gensim's compiled `corpus_file` path is missing: install a wheel of gensim with extensions")
    training = job.training
    corpus = str(job.corpus)
    started = time.perf_counter()
    model = Word2Vec(
        sg=int(training.model == "skipgram"),
        vector_size=training.vector_size,
        window=training.window,
        shrink_windows=training.shrink_windows,
        negative=training.negative,
        ns_exponent=training.ns_exponent,
        sample=training.sample,
        alpha=training.learning_rate,
        min_alpha=training.min_alpha,
        cbow_mean=int(training.cbow_mean),
        min_count=job.min_count,
        workers=training.thread_count,
        seed=training.seed,
    )
    model.build_vocab(corpus_file=corpus)
    read = time.perf_counter()
    model.train(
        corpus_file=corpus,
        total_words=model.corpus_total_words,
        total_examples=model.corpus_count,
        epochs=training.epochs,
    )
    trained = time.perf_counter()
    model.wv.save_word2vec_format(str(job.output), binary=True)
    saved = time.perf_counter()
    return Outcome(
        stages={"read": read - started, "train": trained - read, "save": saved - trained}, vectors=str(job.output)
    )
