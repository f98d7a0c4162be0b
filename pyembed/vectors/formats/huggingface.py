"""A Hugging Face folder: the matrix of word embeddings in `model.safetensors`, the words in the tokenizer's vocabulary.

The tensor is found by the names that models give it; the words in `tokenizer.json`, `vocab.json` or `vocab.txt`. Tokens
are taken as they stand (`##ing`, `Ġthe`). Written are a matrix named `embeddings` and a tokenizer of whole words
between white space, as model2vec has them.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pyembed.files import whole_file
from pyembed.vectors.formats.repairs import Errors, Repairs
from pyembed.vectors.formats.safetensors_file import SafetensorsFile, json_text, write_file
from pyembed.vectors.formats.table import VectorFileError, VectorTable
from pyembed.vectors.formats.words_file import read_words

_EMBEDDINGS = re.compile(
    r"embeddings|(.*\.)?(embedding|word_embeddings|embed_tokens|tok_embeddings|word_embedding|wte|shared)\.weight|weight"
)
_UNKNOWN = "[UNK]"
_LONGEST_JSON = 1 << 28
_Words = dict[int, str]


def read(path: Path, *, errors: Errors = "strict", mmap: bool = False) -> VectorTable:
    """Reads the matrix of word embeddings and its words; rows without a word, which pad a matrix, are left out at its
    end.

    Args:
        path: the folder.
        errors: the policy for damaged words.
        mmap: leave the vectors in the file, which must then be float32.

    Raises:
        VectorFileError: a file is damaged; no tensor, or several, are named as word embeddings are; a row has no word.
        OSError: a file cannot be read.
    """
    repairs = Repairs(path, errors)
    file = _matrix_file(path)
    names = [name for name in file.tensors if _EMBEDDINGS.fullmatch(name)]
    if len(names) != 1:
        listed = ", ".join(list(file.tensors)[:20])
        raise VectorFileError(f"{file.path}: expected one matrix of word embeddings, found {names} among {listed}")
    vectors = file.matrix(names[0], mmap)
    words = _words(path, repairs)
    missing = next((row for row in range(len(words)) if row not in words), None)
    if missing is not None or len(words) > len(vectors):
        found = f"none for row {missing}" if missing is not None else f"{len(words)}"
        raise VectorFileError(f"{path}: expected a word for each of the first of {len(vectors)} rows, found {found}")
    return repairs.table([words[row] for row in range(len(words))], vectors[: len(words)])


def _matrix_file(path: Path) -> SafetensorsFile:
    index = path / "model.safetensors.index.json"
    if not (path / "model.safetensors").exists() and index.exists():
        places = _json(index).get("weight_map")
        places = places if isinstance(places, dict) else {}
        for name, place in places.items():
            if _EMBEDDINGS.fullmatch(name) and isinstance(place, str):
                file = path / Path(place).name
                if not os.path.isfile(file):  # noqa: PTH113 - which takes any name
                    raise VectorFileError(
                        f"{index}: expected a file in the same folder, found {place!r:.100}, which is none"
                    )
                return SafetensorsFile(file)
        raise VectorFileError(f"{index}: expected the place of a matrix of word embeddings, found none")
    return SafetensorsFile(path / "model.safetensors")


def _words(path: Path, repairs: Repairs) -> _Words:
    """Words by row."""
    if (path / "tokenizer.json").exists():
        return _tokenizer_words(path / "tokenizer.json")
    if (path / "vocab.json").exists():
        return _by_row(_json(path / "vocab.json"), path / "vocab.json")
    # No line may go missing, for rows are counted by them.
    strict = repairs if repairs.errors == "replace" else Repairs(repairs.path, "strict")
    return {row: str(word) for row, word in enumerate(read_words(path / "vocab.txt", strict))}


def _tokenizer_words(path: Path) -> _Words:
    tokenizer = _json(path)
    model = tokenizer.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocabulary, list):  # Unigram: pairs of a token and its score
        if not all(isinstance(pair, list) and pair and isinstance(pair[0], str) for pair in vocabulary):
            raise VectorFileError(f"{path}: expected pairs of a token and its score, found others")
        words = {row: pair[0] for row, pair in enumerate(vocabulary)}
    else:
        words = _by_row(vocabulary, path)
    added = tokenizer.get("added_tokens") or []
    for token in added if isinstance(added, list) else []:
        if not isinstance(token, dict):
            raise VectorFileError(f"{path}: expected added tokens with id and content, found {token!r:.100}")
        words |= _by_row({token.get("content"): token.get("id")}, path)
    return words


def _by_row(vocabulary: Any, path: Path) -> _Words:
    if not isinstance(vocabulary, dict):
        raise VectorFileError(f"{path}: expected a vocabulary, rows by token, found {type(vocabulary).__name__}")
    for token, row in vocabulary.items():
        if not isinstance(token, str) or type(row) is not int or row < 0:
            raise VectorFileError(f"{path}: expected a token and its row, found {token!r:.100} and {row!r:.100}")
    words = {row: token for token, row in vocabulary.items()}
    if len(words) != len(vocabulary):
        raise VectorFileError(f"{path}: expected a row for each token, found two tokens in one")
    return words


def _json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _LONGEST_JSON:
        raise VectorFileError(f"{path}: expected at most {_LONGEST_JSON} bytes, found {path.stat().st_size}")
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise VectorFileError(f"{path}: expected JSON, found: {error}") from error
    if not isinstance(value, dict):
        raise VectorFileError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def write(table: VectorTable, path: Path) -> None:
    """Writes configuration, tokenizer and matrix, whole or not at all, into the folder, which is made where missing.

    Counts and metadata have no place in this format.

    Raises:
        VectorFileError: a word cannot be encoded.
        OSError: a file cannot be written.
    """
    words = list(table.words)
    tokenizer: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {word: row for row, word in enumerate(words)}, "unk_token": _UNKNOWN},
    }
    configuration = {"model_type": "model2vec", "architectures": ["StaticModel"], "hidden_dim": table.vectors.shape[1]}
    try:
        texts = {
            name: json_text(value).encode()
            for name, value in (("config.json", configuration), ("tokenizer.json", tokenizer))
        }
    except UnicodeEncodeError as error:
        raise VectorFileError(f"{path}: expected words that UTF-8 can hold: {error}") from error
    path.mkdir(exist_ok=True)
    with ExitStack() as files:
        for name, text in texts.items():
            file = files.enter_context(whole_file(path / name))
            file.write(text)
            file.flush()  # whatever fails, fails before any appears: words must not stand beside another matrix
        write_file(path / "model.safetensors", {"embeddings": table.vectors}, {})
