"""fastText's `.bin` and `.ftz`: everything in a model, as a record that goes back to the file bit for bit.

Magic number and version, the training arguments, the dictionary of words and labels, the input matrix (a row a word and
a row a bucket of n-grams) and the output matrix, either of which may be quantised. Versions 11 and 12, which fastText
has written since 2016, are read; a file keeps its version.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pyembed.files import whole_file
from pyembed.vectors.arrays import Int64Array
from pyembed.vectors.formats.binary_cursor import BinaryCursor
from pyembed.vectors.formats.fasttext_matrix import Matrix, QuantizedMatrix, read_flag, read_matrix
from pyembed.vectors.formats.table import VectorFileError

MAGIC = (793712314).to_bytes(4, "little")
_VERSIONS = (11, 12)
_LONGEST_NGRAM = 64
"""Characters; the work for a word grows with it, so a damaged number must not be believed."""
_WORD, _LABEL = 0, 1
_SUPERVISED = 3


class FastTextArguments(NamedTuple):
    """What the model was trained with, under fastText's names and in its order."""

    dim: int
    ws: int = 5
    epoch: int = 5
    min_count: int = 1
    neg: int = 5
    word_ngrams: int = 1
    loss: int = 2
    """1 hierarchical softmax, 2 negative sampling, 3 softmax, 4 one against all."""
    model: int = 2
    """1 cbow, 2 skip-gram, 3 supervised."""
    bucket: int = 0
    minn: int = 0
    maxn: int = 0
    lr_update_rate: int = 100
    t: float = 1e-4


@dataclass(frozen=True, kw_only=True)
class FastTextModel:
    """A model. Arrays that were read are views into the file: leave it where it is while they are in use."""

    arguments: FastTextArguments
    entries: list[bytes]
    """The words, then the labels, as they lie in the file: not always UTF-8."""
    counts: Int64Array
    """[entries]."""
    words: int
    """V: how many entries are words."""
    tokens: int
    """In the corpus."""
    pruned: npt.NDArray[np.int32] | None
    """[n, 2], bucket and row of the n-grams that pruning left; None where nothing was pruned."""
    input: Matrix
    """[V + buckets, D]."""
    output: Matrix
    """[V or labels, D]."""
    output_is_quantized: bool
    """As the file says; it holds only where the input is quantised."""
    version: int = 12

    @property
    def buckets(self) -> int:
        """How many buckets of n-grams of characters a word may have rows for."""
        is_old_classifier = self.version == 11 and self.arguments.model == _SUPERVISED
        return 0 if is_old_classifier or self.arguments.maxn <= 0 else self.arguments.bucket

    @cached_property
    def row_of(self) -> dict[bytes, int]:
        """The row of each word."""
        return {word: row for row, word in enumerate(self.entries[: self.words])}


def read_model(path: Path) -> FastTextModel:
    """Reads a `.bin` or `.ftz` file.

    Raises:
        VectorFileError: the file is damaged, or of another format; the message names the byte.
        OSError: the file cannot be read.
    """
    cursor = BinaryCursor(path)
    magic, version = cursor.numbers("4si", "fastText's magic number and version")
    if magic != MAGIC:
        raise VectorFileError(f"{path}: byte 0: expected fastText's magic number {MAGIC!r}, found {magic!r}")
    if version not in _VERSIONS:
        raise VectorFileError(f"{path}: byte 4: expected version 11 or 12 of fastText's format, found {version}")
    arguments = FastTextArguments(*cursor.numbers("12id", "fastText's arguments"))
    if arguments.dim < 1 or arguments.bucket < 0 or not arguments.maxn <= _LONGEST_NGRAM:
        raise cursor.error(
            f"expected arguments with dim >= 1, bucket >= 0 and maxn <= {_LONGEST_NGRAM}, found {arguments}"
        )
    size, words, labels, tokens, pruned_size = cursor.numbers("iiiqq", "the sizes of the dictionary")
    if min(words, labels) < 0 or words + labels != size or pruned_size < -1:
        raise cursor.error(
            f"expected the sizes of a dictionary, found {size} entries, {words} words, {labels} labels, "
            f"{pruned_size} n-grams left"
        )
    entries, counts = _read_entries(cursor, words, labels)
    pruned = None if pruned_size < 0 else cursor.array("<i4", (pruned_size, 2), "the n-grams left")
    input_is_quantized = read_flag(cursor, "whether the input is quantised")
    matrix = read_matrix(cursor, input_is_quantized, "the input matrix")
    output_is_quantized = read_flag(cursor, "whether the output is quantised")
    output = read_matrix(cursor, input_is_quantized and output_is_quantized, "the output matrix")
    cursor.require_end()
    model = FastTextModel(
        arguments=arguments,
        entries=entries,
        counts=counts,
        words=words,
        tokens=tokens,
        pruned=pruned,
        input=matrix,
        output=output,
        output_is_quantized=output_is_quantized,
        version=version,
    )
    _require_rows(model, path)
    return model


def _require_rows(model: FastTextModel, path: Path) -> None:
    """Raises VectorFileError where a word or an n-gram could have a row that the input matrix lacks."""
    ngrams = model.buckets
    if ngrams and model.pruned is not None:
        rows = model.pruned[:, 1]
        if rows.min(initial=0) < 0:
            raise VectorFileError(f"{path}: expected rows of n-grams, found {rows.min()}")
        ngrams = int(rows.max(initial=-1)) + 1
    rows_there, columns = model.input.shape
    if columns != model.arguments.dim or rows_there < model.words + ngrams:
        expected = f"{model.words} words and {ngrams} n-grams, {model.arguments.dim} dimensions"
        raise VectorFileError(f"{path}: expected an input matrix for {expected}, found {rows_there} x {columns}")


def _read_entries(cursor: BinaryCursor, words: int, labels: int) -> tuple[list[bytes], Int64Array]:
    size = words + labels
    if 10 * size > cursor.size - cursor.position:  # an end, a count and a type for each
        raise cursor.error(f"expected {size} entries of a dictionary, found {cursor.size - cursor.position} bytes")
    entries: list[bytes] = []
    counts = np.empty(size, dtype=np.int64)
    for row in range(size):
        end = cursor.content.find(b"\0", cursor.position)
        if end < 0:
            raise cursor.error(f"expected a NUL at the end of entry {row}, found none")
        entries.append(cursor.bytes(end - cursor.position, f"entry {row}"))
        _, counts[row], kind = cursor.numbers("cqb", f"count and type of entry {row}")
        if kind != (_WORD if row < words else _LABEL):
            expected = "a word" if row < words else "a label"
            raise cursor.error(f"expected the type of {expected} for entry {row} ({words} words first), found {kind}")
    return entries, counts


def write_model(model: FastTextModel, path: Path) -> None:
    """Writes the file whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    labels = len(model.entries) - model.words
    pruned_size = -1 if model.pruned is None else len(model.pruned)
    with whole_file(path) as file:
        file.write(struct.pack("<4si12id", MAGIC, model.version, *model.arguments))
        file.write(struct.pack("<iiiqq", len(model.entries), model.words, labels, model.tokens, pruned_size))
        for row, (entry, count) in enumerate(zip(model.entries, model.counts.tolist(), strict=True)):
            file.write(entry + struct.pack("<cqb", b"\0", count, _WORD if row < model.words else _LABEL))
        if model.pruned is not None:
            file.write(model.pruned.astype("<i4", copy=False).tobytes())
        file.write(bytes([isinstance(model.input, QuantizedMatrix)]))
        file.writelines(model.input.blocks())
        file.write(bytes([model.output_is_quantized]))
        file.writelines(model.output.blocks())
