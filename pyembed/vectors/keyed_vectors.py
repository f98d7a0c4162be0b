"""KeyedVectors: words and their vectors, to look up, compare, search, change and save. Knows nothing of training."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pyembed.vectors import formats
from pyembed.vectors.arrays import BoolArray
from pyembed.vectors.attributes import new_column
from pyembed.vectors.former_names import FormerlyNamed
from pyembed.vectors.lookup import Key
from pyembed.vectors.modules import Embeddable
from pyembed.vectors.quantized import QuantizedVectors
from pyembed.vectors.word2vec_files import read_word2vec, write_counts, write_word2vec


class KeyedVectors(FormerlyNamed, Embeddable):
    """Words and their vectors, with gensim's methods.

    Attributes are those of gensim: `index_to_key`, `key_to_index`, `vectors` float32[V, D], `expandos`; and `counts`
    int64[V], occurrences in the corpus, or None, and `metadata`, strings by name for formats that hold them.
    """

    def __init__(
        self,
        words: Sequence[str] | int = (),
        vectors: npt.ArrayLike | int | None = None,
        counts: npt.ArrayLike | None = None,
        metadata: Mapping[str, str] | None = None,
        *,
        vector_size: int | None = None,
        count: int = 0,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        """Words with their vectors; or none yet, as `KeyedVectors(vector_size)`, for `add_vectors`.

        Args:
            words: [V], distinct; or the number of dimensions.
            vectors: [V, D]. A float32 array in C order is kept as it is, others are converted.
            counts: [V].
            metadata: strings by name.
            vector_size: D, where there are no words yet.
            count: taken for gensim's sake: how many words are to come need not be known.
            dtype: float32 only.

        Raises:
            ValueError: the shapes do not fit together, a word occurs twice, or another dtype.
            TypeError: a word that is no string.
        """
        if np.dtype(dtype) != np.float32:
            raise ValueError(
                f"dtype: expected float32, which all vectors are held in, found {np.dtype(dtype)}; "
                "quantize() makes tables of a quarter of the size"
            )
        if isinstance(words, (int, np.integer)):
            count = vectors if isinstance(vectors, int) else count
            vector_size, words, vectors = int(words), (), None
        if vectors is None:
            if vector_size is None or vector_size < 1 or count < 0:
                raise ValueError(f"expected words with their vectors, or a vector_size >= 1, found {vector_size}")
            vectors = np.empty((0, vector_size), dtype=np.float32)
        super().__init__(words, vectors, counts, metadata)

    def __repr__(self) -> str:
        return f"KeyedVectors({len(self):,} words, {self.vector_size} dimensions)"

    def vectors_for_all(
        self,
        keys: Iterable[Key],
        allow_inference: bool = True,  # noqa: ARG002
        copy_vecattrs: bool = False,
    ) -> KeyedVectors:
        """A copy with those of the words that have vectors, each once, in their order.

        Args:
            keys: words.
            allow_inference: taken for gensim's sake: no vector is made up from parts of a word.
            copy_vecattrs: copy further values too, counts among them.
        """
        rows = self._selection(keys)
        words = [self.index_to_key[row] for row in rows.tolist()]
        chosen = self._of(formats.VectorTable(words=words, vectors=self._table.gather(rows)[0]))
        if copy_vecattrs:
            chosen.expandos = {name: column[rows] for name, column in self.expandos.items()}
        return chosen

    def quantize(self) -> QuantizedVectors:
        """A copy for searching in a quarter of the memory: rows of 8-bit numbers with a scale each.

        Raises:
            ValueError: a vector holds NaN or infinity.
        """
        return QuantizedVectors(self.index_to_key, self._table)

    def save(self, path: str | os.PathLike[str], *, format: str | None = None) -> None:
        """Writes a file in the format named, or of its suffix, whole or not at all.

        A suffix that is no format's, .kv or .wordvectors for example, makes a safetensors file; load knows it anyway.

        See `pyembed.vectors.formats.FORMATS` for formats and what they keep: all keep words and vectors, few counts and
        metadata; further values are kept by none.

        Raises:
            pyembed.vectors.VectorFileError: the format is unknown, or cannot hold a word.
            OSError: the file cannot be written.
        """
        formats.write(self._as_table(), path, format=format or formats.format_to_save(path).name)

    @classmethod
    def load(
        cls,
        fname: str | os.PathLike[str],
        mmap: bool | str | None = False,
        *,
        format: str | None = None,
        errors: formats.Errors = "strict",
    ) -> KeyedVectors:
        """Reads a vector file of any of the formats.

        Vectors that hold NaN or infinity are told of by a warning; no search finds them.

        Args:
            fname: the file, or folder.
            mmap: leave the vectors in the file, where the format can; they cannot be changed then.
            format: a name among `pyembed.vectors.formats.FORMATS`, where suffix and content say too little.
            errors: "strict", or what is to be done about damage: "replace" or "skip".

        Raises:
            pyembed.vectors.VectorFileError: the format is unknown, or the file damaged.
            OSError: the file cannot be read.
        """
        loaded = cls._of(formats.read(fname, format=format, mmap=bool(mmap), errors=errors))
        if not mmap:  # which would read all of the file
            loaded._warn_of_non_finite(fname)
        return loaded

    def save_word2vec_format(
        self,
        fname: str | os.PathLike[str],
        fvocab: str | os.PathLike[str] | None = None,
        binary: bool = False,
        total_vec: int | None = None,
        write_header: bool = True,
        prefix: str = "",
        append: bool = False,
        sort_attr: str = "count",
    ) -> None:
        """Writes word2vec's binary or text format, or GloVe's with `write_header=False`, whatever the suffix.

        Args:
            fname: the file.
            fvocab: a second file, of lines `word value`, by `sort_attr`.
            binary: numbers as they are in memory, and not as text.
            total_vec: as many as there are, or None.
            write_header: begin with a line of the number of words and dimensions.
            prefix: put before each word.
            append: False only: a file is written whole or not at all.
            sort_attr: words with the highest of these values come first; where there are none, words stay in order.

        Raises:
            ValueError: `total_vec`, `append` or the header as above, or no values to write to `fvocab`.
            pyembed.vectors.VectorFileError: the format cannot hold a word.
            OSError: a file cannot be written.
        """
        if append or total_vec not in (None, len(self)):
            raise ValueError(
                "append, total_vec: expected False and None, since a file is written whole or not at all; "
                "put all vectors into one KeyedVectors with add_vectors"
            )
        values = self.expandos.get(sort_attr)
        if values is not None:
            order = np.argsort(-values, kind="stable")
        elif fvocab is not None:
            raise ValueError(f"fvocab: expected values of {sort_attr!r} to write, found those of {list(self.expandos)}")
        else:
            order = np.arange(len(self))
        table = formats.VectorTable(
            words=[prefix + self.index_to_key[row] for row in order.tolist()], vectors=self._table.gather(order)[0]
        )
        write_word2vec(table, fname, binary=binary, write_header=write_header)
        if fvocab is not None and values is not None:
            write_counts(table.words, values[order], fvocab)

    @classmethod
    def load_word2vec_format(
        cls,
        fname: str | os.PathLike[str],
        fvocab: str | os.PathLike[str] | None = None,
        binary: bool = False,
        encoding: str = "utf8",
        unicode_errors: str = "strict",
        limit: int | None = None,
        datatype: npt.DTypeLike = np.float32,
        no_header: bool = False,
    ) -> KeyedVectors:
        """Reads word2vec's binary or text format, or GloVe's with `no_header`, whatever the suffix.

        Args:
            fname: the file.
            fvocab: a second file, of lines `word count`. Without it counts are not known; none are made up.
            binary: numbers as they are in memory, and not as text.
            encoding: UTF-8 only.
            unicode_errors: "strict"; or "replace" or "ignore", and what is not UTF-8 becomes U+FFFD; or "skip".
            limit: read no further than so many words. What comes after them is not looked at.
            datatype: float32 only.
            no_header: there is no line of the number of words and dimensions.

        Raises:
            pyembed.vectors.VectorFileError: the file is damaged, holds a word twice, or `fvocab` lacks a word.
            ValueError: another encoding, error handling or datatype, or a limit below 1.
            OSError: a file cannot be read.
        """
        cls(1, dtype=datatype)
        table = read_word2vec(
            fname, fvocab, limit, binary=binary, encoding=encoding, unicode_errors=unicode_errors, no_header=no_header
        )
        loaded = cls._of(table)
        loaded._warn_of_non_finite(fname)
        return loaded

    def intersect_word2vec_format(
        self,
        fname: str | os.PathLike[str],
        lockf: float = 0.0,
        binary: bool = False,
        encoding: str = "utf8",
        unicode_errors: str = "strict",
    ) -> int:
        """Gives the words that a file has too the file's vectors; no word is added.

        Args:
            fname: a file in word2vec's binary or text format.
            lockf: kept beside these words as the attribute "lockf", and 1 beside the others: how much of a gradient is
                to reach the vector, for whatever trains it.
            binary, encoding, unicode_errors: as in `load_word2vec_format`.

        Returns:
            How many words that was.

        Raises:
            ValueError: vectors of another size.
            pyembed.vectors.VectorFileError, OSError: as in `load_word2vec_format`.
        """
        table = read_word2vec(fname, binary=binary, encoding=encoding, unicode_errors=unicode_errors)
        if table.vectors.shape[1] != self.vector_size:
            raise ValueError(f"{fname}: expected vectors of size {self.vector_size}, found {table.vectors.shape[1]}")
        found = np.array([self.key_to_index.get(word, -1) for word in table.words], dtype=np.int64)
        is_here: BoolArray = found >= 0
        self._table.assign(found[is_here], table.vectors[is_here])
        factors = self.expandos.setdefault("lockf", new_column("lockf", np.float32, len(self)))
        factors[found[is_here]] = lockf
        return int(is_here.sum())

    def _as_table(self) -> formats.VectorTable:
        vectors, _ = self._table.block(0, len(self))
        return formats.VectorTable(words=self.index_to_key, vectors=vectors, counts=self.counts, metadata=self.metadata)

    @classmethod
    def _of(cls, table: formats.VectorTable) -> KeyedVectors:
        """Of arrays that nobody else holds."""
        made = cls(table.words, table.vectors, table.counts, table.metadata)
        made._table.keep_private()
        return made

    def _warn_of_non_finite(self, path: str | os.PathLike[str]) -> None:
        rows, norms = self._table.block(0, len(self))
        suspects = np.flatnonzero(~np.isfinite(norms))
        damaged = suspects[~np.isfinite(rows[suspects]).all(axis=1)].tolist()
        if damaged:
            warnings.warn(
                f"{path}: {len(damaged)} vectors hold NaN or infinity, the first that of "
                f"{self.index_to_key[damaged[0]]!r} in row {damaged[0]}; no search finds them",
                formats.VectorFileWarning,
                stacklevel=3,
            )
