"""Pickles, which are never read: what to say of one, and how to get at what it holds."""

from __future__ import annotations

from pathlib import Path

from pyembed.vectors.formats.table import VectorFileError

_BEGINNINGS = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))


def refuse_pickle(path: Path) -> None:
    """Raises VectorFileError where a file is a pickle, as gensim's `save` writes; OSError where it cannot be read."""
    with path.open("rb") as file:
        beginning = file.read(9)
    # The length that a safetensors file begins with may be the same two bytes.
    if beginning.startswith(_BEGINNINGS) and beginning[4:] != b"\0\0\0\0{":
        raise VectorFileError(
            f"{path}: found a pickle, which can run any program when it is read, and is not; expected a file of "
            "vectors or of a pyembed model. What gensim saved, gensim can write anew: "
            "Word2Vec.load(path).wv.save_word2vec_format('vectors.bin', binary=True), then KeyedVectors.load here"
        )
