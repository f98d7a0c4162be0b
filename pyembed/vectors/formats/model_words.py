"""Words and counts in a model's file: tensors of a safetensors file, since of metadata there can only be so many.

Tensor `words` holds all words in UTF-8, uint8, one behind the other; `word_ends`, int64[V], where each ends; `counts`,
int64[V]. The vectors are the tensor `weight`, as in a file of vectors alone. Metadata `pyembed_model` is the version of
this layout. What else a model's file holds is known to `pyembed.models`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pyembed.vectors.arrays import Int64Array
from pyembed.vectors.formats.safetensors_file import SafetensorsFile
from pyembed.vectors.formats.table import VectorFileError

MODEL_KEY = "pyembed_model"
MODEL_VERSION = "1"


def is_model(file: SafetensorsFile) -> bool:
    """Whether a safetensors file is a model's.

    Raises:
        VectorFileError: it is, of another version.
    """
    version = file.metadata.get(MODEL_KEY)
    if version not in (None, MODEL_VERSION):
        raise VectorFileError(
            f"{file.path}: expected a model's file of version {MODEL_VERSION}, found version {version!r}; "
            "a later pyembed may read it"
        )
    return version is not None


def word_tensors(words: Sequence[str], counts: Int64Array) -> dict[str, npt.NDArray[np.int64] | npt.NDArray[np.uint8]]:
    """What to write. Raises UnicodeEncodeError where a word holds a lone surrogate."""
    encoded = [word.encode() for word in words]
    ends = np.cumsum([len(word) for word in encoded], dtype=np.int64)
    return {
        "words": np.frombuffer(b"".join(encoded), np.uint8),
        "word_ends": ends,
        "counts": np.asarray(counts, np.int64),
    }


def read_words(file: SafetensorsFile) -> tuple[list[str], Int64Array]:
    """Words, and counts int64[V], one a row of the tensor `weight`.

    Raises:
        VectorFileError: there is no such tensor, or they do not fit together.
    """
    if "weight" not in file.tensors:
        raise VectorFileError(
            f"{file.path}: expected vectors, found a model without a vocabulary: it was never trained"
        )
    rows = file.tensors["weight"].shape[:1]
    words, counts = read_counted_words(file)
    if rows != counts.shape:
        found = f"{list(rows)} vectors, {list(counts.shape)} words"
        raise VectorFileError(f"{file.path}: expected as many words as vectors, found {found}")
    return words, counts


def read_counted_words(file: SafetensorsFile) -> tuple[list[str], Int64Array]:
    """Words and counts int64[V] that `word_tensors` made.

    Raises:
        VectorFileError: they do not fit together.
    """
    text, ends, counts = file.numbers("words", "U8"), file.numbers("word_ends", "I64"), file.numbers("counts", "I64")
    if ends.ndim != 1 or ends.shape != counts.shape:
        found = f"shapes {list(ends.shape)} of words, {list(counts.shape)} of counts"
        raise VectorFileError(f"{file.path}: expected a count for each word, found {found}")
    starts = np.concatenate([[0], ends])
    if (starts[1:] < starts[:-1]).any() or starts[-1] != text.size:
        raise VectorFileError(f"{file.path}: word_ends: expected ascending to {text.size}, found others")
    if (counts < 0).any():
        row = int(np.flatnonzero(counts < 0)[0])
        raise VectorFileError(f"{file.path}: counts: row {row}: expected at least 0, found {counts[row]}")
    content = text.tobytes()
    try:
        words = [content[start:end].decode() for start, end in zip(starts.tolist(), ends.tolist(), strict=False)]
    except UnicodeDecodeError as error:
        raise VectorFileError(f"{file.path}: words: expected UTF-8: {error}") from None
    return words, counts.copy()
