"""fastText's `.bin` and `.ftz` as words and vectors: of every word the vector that fastText itself gives.

`fasttext_model.read_model` reads the rest of such a file too, n-grams, labels and output matrix.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pyembed.vectors.arrays import Float32Array
from pyembed.vectors.formats.fasttext_matrix import DenseMatrix
from pyembed.vectors.formats.fasttext_model import MAGIC, FastTextArguments, FastTextModel, read_model, write_model
from pyembed.vectors.formats.repairs import Errors, Repairs
from pyembed.vectors.formats.subwords import word_vectors
from pyembed.vectors.formats.table import VectorFileError, VectorTable
from pyembed.vectors.formats.word2vec_shared import encode_words

__all__ = ["MAGIC", "read", "subword_vectors", "write"]


def read(path: Path, *, errors: Errors = "strict") -> VectorTable:
    """Reads the words of a model, not its labels: memory is that of the result, the file's own pages are the system's.

    Raises:
        VectorFileError: the file is damaged, or of another format; the message names the byte.
        OSError: the file cannot be read.
    """
    repairs = Repairs(path, errors)
    model = read_model(path)
    words = [repairs.decode(entry, f"in row {row}") for row, entry in enumerate(model.entries[: model.words])]
    return repairs.table(words, word_vectors(model), model.counts[: model.words])


def subword_vectors(path: str | os.PathLike[str]) -> Callable[[str], Float32Array]:
    """What a model makes of any word, in its dictionary or not: float32[D], composed of the word's n-grams.

    As `unknown` of `KeyedVectors.to_embedding` it makes vectors of words that have none. A word without an n-gram in
    the model has zeros. The model's matrix stays in its file.

    Raises:
        VectorFileError: the file is damaged, or of another format; the message names the byte.
        OSError: the file cannot be read.
    """
    model = read_model(Path(path))
    return lambda word: word_vectors(model, [word.encode()])[0]


def write(table: VectorTable, path: Path) -> None:
    """Writes a skip-gram model without n-grams whose input matrix are the vectors; its output matrix is zero.

    fastText and gensim read it. Where counts are unknown each is 1. Metadata have no place in this format.

    Raises:
        VectorFileError: a word holds NUL, which ends a word here, or is empty; or the suffix is .ftz, whose vectors are
            quantised.
        OSError: the file cannot be written.
    """
    if path.suffix.lower() == ".ftz":
        raise VectorFileError(f"{path}: expected a name other than .ftz, which stands for quantised vectors; use .bin")
    entries = encode_words(table.words, path, separators="\0")
    counts = np.ones(len(entries), dtype=np.int64) if table.counts is None else table.counts
    vectors = table.vectors
    model = FastTextModel(
        arguments=FastTextArguments(dim=vectors.shape[1]),
        entries=entries,
        counts=counts,
        words=len(entries),
        tokens=int(counts.sum()),
        pruned=None,
        input=DenseMatrix(vectors),
        output=DenseMatrix(np.broadcast_to(np.float32(0), vectors.shape)),
        output_is_quantized=False,
    )
    write_model(model, path)
