"""TensorBoard's projector: numbers in `NAME.tsv`, words in `NAME.metadata.tsv`, and a configuration that names both.

Numbers stand between tabs, a row a line. Metadata of one column have no header; of several, the first line names them:
here `word` and `count`. Read too: what the configuration in the same folder names, `metadata.tsv` beside any other
file, and `PREFIX_metadata.tsv` beside `PREFIX_tensor.tsv`, as gensim's script names them.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import numpy as np

from pyembed.files import whole_file
from pyembed.vectors.arrays import Int64Array
from pyembed.vectors.formats.repairs import Errors, Repairs
from pyembed.vectors.formats.shortest_decimals import decimal_lines
from pyembed.vectors.formats.table import VectorFileError, VectorTable
from pyembed.vectors.formats.text_rows import lines_ahead, read_rows, whole_lines
from pyembed.vectors.formats.word2vec_shared import encode_words
from pyembed.vectors.formats.words_file import read_words

_CONFIGURATION = "projector_config.pbtxt"
_LONGEST_CONFIGURATION = 1 << 20
_EMBEDDINGS = re.compile(r"embeddings\s*:?\s*\{(.*?)\}", re.DOTALL)
_FIELD = re.compile(r'(\w+)\s*:\s*"((?:[^"\\]|\\.)*)"')
_ROWS_PER_WRITE = 512


def read(path: Path, *, errors: Errors = "strict") -> VectorTable:
    """Reads the numbers and the words that belong to them; of several columns the first, and `count` if there is one.

    Raises:
        VectorFileError: a file is damaged, or the words are not as many as the rows; the message names the line.
        OSError: a file cannot be read.
    """
    repairs = Repairs(path, errors)
    ahead, blocks = lines_ahead(whole_lines(path), 100)
    if not ahead:
        raise VectorFileError(f"{path}: line 1: expected numbers between tabs, found an empty line or file")
    ((tabs, _),) = Counter(line.count(b"\t") for line in ahead).most_common(1)
    # Strict whatever the policy: a row left out would leave its word to the next.
    strict = Repairs(path, "strict")
    _, vectors, _ = read_rows(blocks, tabs + 1, "\t", strict, first_line=1, has_word=False)
    beside = _metadata_path(path)
    lines = read_words(beside, repairs)
    words, counts = _columns(lines, beside)
    if len(words) != len(vectors):
        raise VectorFileError(
            f"{beside}: expected {len(vectors)} words, one for each row of {path}, found {len(words)}"
        )
    return repairs.table(words, vectors, counts)


def _metadata_path(path: Path) -> Path:
    configuration = path.with_name(_CONFIGURATION)
    if configuration.is_file() and configuration.stat().st_size <= _LONGEST_CONFIGURATION:
        for text in _EMBEDDINGS.findall(configuration.read_text(encoding="utf-8", errors="replace")):
            fields = dict(_FIELD.findall(text))
            if Path(fields.get("tensor_path", "")).name == path.name and "metadata_path" in fields:
                named = path.parent / Path(fields["metadata_path"]).name
                if not os.path.isfile(named):  # noqa: PTH113 - which takes any name
                    found = f"{fields['metadata_path']!r:.100}, which is no file there"
                    raise VectorFileError(f"{configuration}: expected metadata in the same folder, found {found}")
                return named
    names = [f"{path.stem}.metadata.tsv", "metadata.tsv"]
    if path.stem.endswith("_tensor"):
        names.insert(0, f"{path.stem.removesuffix('_tensor')}_metadata.tsv")
    return next((other for other in map(path.with_name, names) if other.is_file()), path.with_name(names[0]))


def _columns(lines: list[str | None], path: Path) -> tuple[list[str | None], Int64Array | None]:
    if not lines or lines[0] is None or "\t" not in lines[0]:
        return lines, None
    names = lines[0].split("\t")
    rows: list[list[str] | None] = [None if line is None else line.split("\t") for line in lines[1:]]
    for row, fields in enumerate(rows):
        if fields is not None and len(fields) != len(names):
            raise VectorFileError(f"{path}: line {row + 2}: expected {len(names)} fields, found {len(fields)}")
    words = [None if fields is None else fields[0] for fields in rows]
    if "count" not in names:
        return words, None
    column = names.index("count")
    counts = np.zeros(len(rows), dtype=np.int64)
    for row, fields in enumerate(rows):
        text = "0" if fields is None else fields[column]
        if not re.fullmatch(r"[0-9]{1,18}", text):
            raise VectorFileError(f"{path}: line {row + 2}: expected a count, found {text[:40]!r}")
        counts[row] = int(text)
    return words, counts


def write(table: VectorTable, path: Path) -> None:
    """Writes numbers, words and the configuration, whole or not at all. Metadata have no place here.

    Raises:
        VectorFileError: there is no word, without which nothing tells D; a word holds a tab or newline, or is empty.
        OSError: a file cannot be written.
    """
    if not len(table.words):
        raise VectorFileError(f"{path}: expected at least one word, which this format needs, found none")
    words = encode_words(table.words, path, separators="\t\n\r")
    beside = path.with_name(f"{path.stem}.metadata.tsv")
    with whole_file(path) as file:
        for start in range(0, len(words), _ROWS_PER_WRITE):
            lines = decimal_lines(table.vectors[start : start + _ROWS_PER_WRITE])
            file.write(b"\n".join(lines).replace(b" ", b"\t") + b"\n")
        file.flush()  # whatever fails, fails before either appears: words must not stand beside other numbers
        with whole_file(beside) as metadata:
            if table.counts is None:
                metadata.writelines(word + b"\n" for word in words)
            else:
                metadata.write(b"word\tcount\n")
                metadata.writelines(b"%b\t%d\n" % pair for pair in zip(words, table.counts.tolist(), strict=True))
    with whole_file(path.with_name(_CONFIGURATION)) as file:
        text = f'embeddings {{\n  tensor_path: "{path.name}"\n  metadata_path: "{beside.name}"\n}}\n'
        file.write(text.encode())
