"""finalfusion: chunks of vocabulary, storage, norms and metadata, each with its kind and its length.

Read: every vocabulary, of which the words are kept (those of n-grams hold the composed vector of a word in its row),
    and arrays, dense or quantised, times their norms, where those stand apart. Written: a plain vocabulary and a dense
    array, aligned, so that it can be left in the file. Written vectors keep their lengths: finalfusion's own programs,
    which take cosines for dot products, expect them at length 1.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pyembed.files import whole_file
from pyembed.vectors.arrays import Float32Array
from pyembed.vectors.formats.binary_cursor import LONGEST_PIECE, BinaryCursor
from pyembed.vectors.formats.repairs import Errors, Repairs
from pyembed.vectors.formats.table import VectorFileError, VectorTable
from pyembed.vectors.formats.word2vec_shared import encode_words

MAGIC = b"FiFu"
_SIMPLE, _NDARRAY, _BUCKETS, _QUANTIZED, _METADATA, _NORMS, _FASTTEXT, _EXPLICIT, _FLORET = range(1, 10)
_HEADERS = {_SIMPLE: "Q", _BUCKETS: "QIII", _FASTTEXT: "QIII", _EXPLICIT: "QQII"}
"""Of the vocabularies: the number of words, and what their n-grams need."""
_UINT8, _FLOAT32 = 1, 10
_MOST_CHUNKS = 100
_OWN_METADATA = "[pyembed]\n"
_RAW_METADATA = "finalfusion"
"""The name under which metadata of other making are kept, as the TOML they are."""
_ROWS_AT_ONCE = 4096


class _Chunk(NamedTuple):
    kind: int
    start: int
    end: int


def read(path: Path, *, errors: Errors = "strict", mmap: bool = False) -> VectorTable:
    """Reads words, vectors and metadata.

    Args:
        path: the file.
        errors: the policy for damaged words.
        mmap: leave the vectors in the file, where they stand there whole: dense, without norms apart.

    Raises:
        VectorFileError: the file is damaged, or of another format; the message names the byte.
        OSError: the file cannot be read.
    """
    repairs = Repairs(path, errors)
    cursor = BinaryCursor(path)
    chunks = _chunks(cursor)
    vocabulary = _only(chunks, cursor, "vocabulary", *_HEADERS)
    storage = _only(chunks, cursor, "array", _NDARRAY, _QUANTIZED)
    words = _read_words(cursor, vocabulary, repairs)
    cursor.position = storage.start
    read_storage = _read_array if storage.kind == _NDARRAY else _read_quantized
    vectors = read_storage(cursor, storage, len(words), vocabulary.kind == _SIMPLE)
    norms = [chunk for chunk in chunks if chunk.kind == _NORMS]
    if norms:
        cursor.position = norms[0].start
        (count,) = cursor.numbers("Q", "the number of norms")
        if count != len(words):
            raise cursor.error(f"expected {len(words)} norms, found {count}")
        vectors = vectors * _read_floats(cursor, norms[0], (count,), "the norms")[:, None]
    elif not mmap:
        vectors = np.array(vectors, dtype=np.float32)
    if mmap and not isinstance(vectors.base, np.ndarray):
        raise VectorFileError(f"{path}: expected a dense array without norms apart, to be memory-mapped, found another")
    metadata: Mapping[str, str] = {}
    for chunk in chunks:
        if chunk.kind == _METADATA:
            metadata = _read_metadata(cursor, chunk)
    return repairs.table(words, vectors, metadata=metadata)


def _chunks(cursor: BinaryCursor) -> list[_Chunk]:
    magic, version, count = cursor.numbers("4sII", "finalfusion's magic number, version and number of chunks")
    if magic != MAGIC or version != 0 or count > _MOST_CHUNKS:
        expected = f"{MAGIC!r}, version 0 and at most {_MOST_CHUNKS} chunks"
        raise VectorFileError(f"{cursor.path}: byte 0: expected {expected}, found {magic!r}, {version} and {count}")
    kinds = cursor.numbers(f"{count}I", "the kinds of chunks")
    chunks = []
    for kind in kinds:
        found, length = cursor.numbers("IQ", "the kind and length of a chunk")
        if found != kind or not _SIMPLE <= kind <= _FLORET:
            raise cursor.error(f"expected a chunk of the kind {kind} that the header lists, found {found}")
        start = cursor.skip(length, f"a chunk of kind {kind}")
        chunks.append(_Chunk(kind, start, cursor.position))
    cursor.require_end()
    return chunks


def _only(chunks: list[_Chunk], cursor: BinaryCursor, what: str, *kinds: int) -> _Chunk:
    found = [chunk for chunk in chunks if chunk.kind in kinds]
    if len(found) != 1:
        listed = [chunk.kind for chunk in chunks]
        raise VectorFileError(f"{cursor.path}: expected one {what}, kind {kinds}, found chunks of the kinds {listed}")
    return found[0]


def _read_words(cursor: BinaryCursor, chunk: _Chunk, repairs: Repairs) -> list[str | None]:
    cursor.position = chunk.start
    count, *_ = cursor.numbers(_HEADERS[chunk.kind], "the number of words")
    if 4 * count > chunk.end - cursor.position:
        raise cursor.error(f"expected {count} words, found {chunk.end - cursor.position} bytes")
    words = []
    for row in range(count):
        (length,) = cursor.numbers("I", f"the length of the word of row {row}")
        word = cursor.bytes(length, f"the word of row {row}")
        words.append(repairs.decode(word, f"row {row}", cursor.position - length))
    # What follows are the n-grams of an explicit vocabulary.
    if cursor.position > chunk.end or (cursor.position < chunk.end and chunk.kind != _EXPLICIT):
        raise cursor.error(f"expected the end of the vocabulary, byte {chunk.end}")
    return words


def _read_array(cursor: BinaryCursor, chunk: _Chunk, words: int, words_only: bool) -> Float32Array:
    rows, dimensions = cursor.numbers("QI", "the shape of the array")
    _require_shape(cursor, rows, dimensions, words, words_only)
    return _read_floats(cursor, chunk, (rows, dimensions), "the array")[:words]


def _require_shape(cursor: BinaryCursor, rows: int, dimensions: int, words: int, words_only: bool) -> None:
    if rows < words or (words_only and rows > words) or dimensions < 1:
        expected = f"{words} rows" if words_only else f"{words} rows or more"
        raise cursor.error(f"expected an array of {expected}, found {rows} x {dimensions}")


def _read_floats(cursor: BinaryCursor, chunk: _Chunk, shape: tuple[int, ...], what: str) -> Float32Array:
    """The rest of a chunk: its type, padding and numbers."""
    (kind,) = cursor.numbers("I", f"the type of {what}")
    if kind != _FLOAT32:
        raise cursor.error(f"expected {what} of float32, type {_FLOAT32}, found type {kind}")
    cursor.skip(_padding(cursor.position), "padding")
    array: Float32Array = cursor.array("<f4", shape, what)
    if cursor.position != chunk.end:
        raise cursor.error(f"expected the end of {what}, byte {chunk.end}")
    return array


def _padding(position: int) -> int:
    """Bytes before numbers: at least one."""
    return 4 - position % 4


def _read_quantized(cursor: BinaryCursor, chunk: _Chunk, words: int, words_only: bool) -> Float32Array:
    projected, normed, pieces, dimensions, centroids = cursor.numbers("5I", "the shape of the quantised array")
    rows, code_kind, kind = cursor.numbers("QII", "the shape of the quantised array")
    is_of_pieces = pieces > 0 and dimensions % pieces == 0 and dimensions <= LONGEST_PIECE * pieces and centroids > 0
    if (code_kind, kind) != (_UINT8, _FLOAT32) or not is_of_pieces or max(projected, normed) > 1:
        raise cursor.error(f"expected a quantised array of uint8 and float32, found {pieces} pieces of {dimensions}")
    _require_shape(cursor, rows, dimensions, words, words_only)
    cursor.skip(_padding(cursor.position), "padding")
    projection = cursor.array("<f4", (dimensions, dimensions), "the projection") if projected else None
    books = cursor.array("<f4", (pieces, centroids, dimensions // pieces), "the centroids")
    norms = cursor.array("<f4", (rows,), "the norms")[:words] if normed else None
    codes = cursor.array("u1", (rows, pieces), "the codes")[:words]
    if cursor.position != chunk.end or codes.max(initial=0) >= centroids:
        raise cursor.error(f"expected codes below {centroids} up to the end of the chunk, byte {chunk.end}")
    vectors = np.empty((words, dimensions), dtype=np.float32)
    for start in range(0, words, _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        values = books[np.arange(pieces), codes[block]].reshape(-1, dimensions)
        vectors[block] = values if projection is None else values @ projection.T
    if norms is not None:
        vectors *= norms[:, None]
    return vectors


def _read_metadata(cursor: BinaryCursor, chunk: _Chunk) -> Mapping[str, str]:
    try:
        text = cursor.content[chunk.start : chunk.end].decode()
    except UnicodeDecodeError as error:
        raise VectorFileError(f"{cursor.path}: byte {chunk.start + error.start}: expected metadata in UTF-8") from error
    if text.startswith(_OWN_METADATA):
        try:
            pairs = [line.split(" = ", 1) for line in text.split("\n")[1:] if line]
            own = {json.loads(name): json.loads(value) for name, value in pairs}
        except (ValueError, RecursionError, TypeError):
            return {_RAW_METADATA: text}
        if all(isinstance(item, str) for pair in own.items() for item in pair):
            return own
    return {_RAW_METADATA: text}


def write(table: VectorTable, path: Path) -> None:
    """Writes the file whole or not at all. Counts have no place in this format.

    Raises:
        VectorFileError: a word is empty or cannot be encoded.
        OSError: the file cannot be written.
    """
    words = encode_words(table.words, path, separators="")
    text = table.metadata.get(_RAW_METADATA, "")
    if table.metadata and set(table.metadata) != {_RAW_METADATA}:
        # A JSON string is a TOML one.
        lines = [f"{json.dumps(name)} = {json.dumps(value)}\n" for name, value in table.metadata.items()]
        text = _OWN_METADATA + "".join(lines)
    vectors = table.vectors.astype("<f4", copy=False)
    kinds = [_METADATA, _SIMPLE, _NDARRAY] if text else [_SIMPLE, _NDARRAY]
    with whole_file(path) as file:
        file.write(MAGIC + struct.pack(f"<II{len(kinds)}I", 0, len(kinds), *kinds))
        if text:
            encoded = text.encode()
            file.write(struct.pack("<IQ", _METADATA, len(encoded)) + encoded)
        file.write(struct.pack("<IQQ", _SIMPLE, 8 + sum(4 + len(word) for word in words), len(words)))
        file.writelines(struct.pack("<I", len(word)) + word for word in words)
        header = struct.calcsize("<IQQII")
        padding = _padding(file.tell() + header)
        file.write(struct.pack("<IQQII", _NDARRAY, 16 + padding + vectors.nbytes, *vectors.shape, _FLOAT32))
        file.write(bytes(padding))
        file.write(np.ascontiguousarray(vectors).data)
