"""A corpus of ids as a text file again, one sentence a line."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from pyembed.compression import compressing
from pyembed.corpus import phrase_engine
from pyembed.corpus.ingest import Corpus
from pyembed.files import whole_file

_TOKENS_AT_ONCE = 1 << 20


def write_text(corpus: Corpus, path: str | os.PathLike[str]) -> None:
    """Writes the words of every sentence, a blank between them, whole or not at all; .gz, .bz2 and .zst are compressed.

    Raises:
        OSError: the file cannot be written.
        ModuleNotFoundError: .zst without the package zstandard.
    """
    encoded = [word.encode() for word in corpus.vocabulary.words]
    text, ends = b"".join(encoded), np.cumsum([len(word) for word in encoded], dtype=np.int64)
    ids, starts = corpus.token_ids.ids, corpus.token_ids.sentence_starts
    with whole_file(path) as file, compressing(file, Path(path).suffix.lower()) as stream:
        sentence = 0
        while sentence < corpus.token_ids.n_sentences:
            begin = int(starts[sentence])
            after = int(np.searchsorted(starts, begin + _TOKENS_AT_ONCE, side="right")) - 1
            after = max(after, sentence + 1)  # a sentence is not cut, however long it is
            piece = starts[sentence : after + 1]
            stream.write(phrase_engine.text_lines(ids[begin : int(piece[-1])], piece - begin, text, ends))
            sentence = after
