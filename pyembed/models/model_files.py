"""A model in one file, to go on with: settings, counters, vocabulary, tables; safetensors inside, whatever its name.

Layout: the tensors of vectors/formats/model_words.py, of which `weight` is in_vectors [V, D]; `out_vectors` [V, D] and
`node_vectors` [max(V - 1, 1), D] where the model has them, all float32 or bfloat16; `attribute.NAME` [V], further
values of the words. Metadata: `pyembed_model`, the version; `settings`, `counters` and `attributes` (values that are no
numbers), each a JSON object. Never a pickle, neither written nor read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pyembed.corpus import Vocabulary
from pyembed.models.settings import COUNTERS, SETTINGS, training_config
from pyembed.models.state import ModelState
from pyembed.vectors.formats.model_words import MODEL_KEY, MODEL_VERSION, is_model, read_words, word_tensors
from pyembed.vectors.formats.pickles import refuse_pickle
from pyembed.vectors.formats.safetensors_file import SafetensorsFile, can_hold, json_text, write_file
from pyembed.vectors.formats.table import VectorFileError, require_distinct

_ATTRIBUTE = "attribute."
_COUNTERS = (*COUNTERS, "effective_min_count")
_TABLE_NAMES = {"in_vectors": "weight", "out_vectors": "out_vectors", "node_vectors": "node_vectors"}
_TABLE_DTYPES = {torch.float32: "F32", torch.bfloat16: "BF16"}


@dataclass(frozen=True, kw_only=True)
class SavedModel:
    """What a model's file holds."""

    settings: Mapping[str, Any]
    """Values that JSON can hold, by name."""
    counters: Mapping[str, Any]
    """What was done so far, by name; as settings."""
    vocabulary: Vocabulary | None = None
    """None before there is one; there are no tables and no attributes then."""
    in_vectors: Tensor | None = None
    """[V, D], float32 or bfloat16."""
    out_vectors: Tensor | None = None
    """[V, D]; None in a model without negative sampling."""
    node_vectors: Tensor | None = None
    """[max(V - 1, 1), D]; None in a model without hierarchical softmax."""
    attributes: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    """Further values of the words by name, [V], counts not among them."""


def save_model(model: ModelState, path: str | os.PathLike[str], ignore: Collection[str] = ()) -> None:
    """Writes all that is needed to go on as if the model had not been away, whole or not at all.

    Raises:
        ValueError: a setting is out of its range or does not fit the tables; or `ignore`, which gensim leaves
            attributes out by, names any.
        VectorFileError, OSError: as `write_model`.
    """
    if ignore:
        raise ValueError(
            f"ignore: expected nothing, since half a model cannot be trained further, found {sorted(ignore)}; "
            "model.wv.save(path) writes the vectors alone"
        )
    settings = {name: getattr(model, name) for name in SETTINGS}
    counters = {name: getattr(model, name) for name in _COUNTERS}
    if not len(model.vocabulary):
        write_model(SavedModel(settings=settings, counters=counters), path)
        return
    model.require_tables(training_config(model))
    model.take_vectors()
    tables = model.tables
    attributes = {name: column for name, column in model.wv.expandos.items() if name != "count"}
    if (model.wv.vectors_lockf != 1).any():
        attributes["lockf"] = np.broadcast_to(model.wv.vectors_lockf, len(model.vocabulary))
    saved = SavedModel(
        settings=settings,
        counters=counters,
        vocabulary=model.vocabulary,
        in_vectors=tables.in_vectors,
        out_vectors=tables.out_vectors,
        node_vectors=tables.node_vectors,
        attributes=attributes,
    )
    write_model(saved, path)


def restore_model(model: ModelState, saved: SavedModel) -> None:
    """Makes a new model of the saved settings what the saved one was.

    Raises:
        VectorFileError: the parts do not fit together.
        MemoryError: the tables do not fit.
    """
    if saved.vocabulary is not None:
        # Found out before memory is taken, of which a damaged vector_size would take any amount.
        if saved.in_vectors is None or saved.in_vectors.shape[1] != model.vector_size:
            found = "none" if saved.in_vectors is None else f"{saved.in_vectors.shape[1]}"
            raise VectorFileError(
                f"in_vectors: expected what the settings call for, vector_size {model.vector_size}, found {found}"
            )
        model.begin(saved.vocabulary)
        for name in _TABLE_NAMES:
            table, values = getattr(model.tables, name), getattr(saved, name)
            if (table is None) != (values is None) or (table is not None and table.shape != values.shape):
                found = "none" if values is None else f"shape {list(values.shape)}"
                raise VectorFileError(f"{name}: expected what the settings call for, found {found}")
            if table is not None:
                table.copy_(values)
        model.show_vectors()
        model.wv.expandos.update(saved.attributes)
    for name in _COUNTERS:
        if name not in saved.counters:
            raise VectorFileError(f"counters: expected {name}, found only {', '.join(saved.counters) or 'nothing'}")
        if not isinstance(saved.counters[name], (int, float)):
            raise VectorFileError(f"counters: {name}: expected a number, found {saved.counters[name]!r:.100}")
        setattr(model, name, saved.counters[name])


def write_model(saved: SavedModel, path: str | os.PathLike[str]) -> None:
    """Writes the file, whole or not at all.

    Raises:
        VectorFileError: a setting or an attribute that neither numpy's numbers nor JSON can hold.
        OSError: the file cannot be written.
    """
    path = Path(path)
    tensors: dict[str, npt.NDArray[Any]] = {}
    halves = []
    for attribute, name in _TABLE_NAMES.items():
        table: Tensor | None = getattr(saved, attribute)
        if table is not None:
            tensors[name], is_half = _array(table)
            halves += [name] * is_half
    if saved.vocabulary is not None:
        try:
            tensors |= word_tensors(saved.vocabulary.words, saved.vocabulary.counts)
        except UnicodeEncodeError as error:
            raise VectorFileError(f"{path}: expected words that UTF-8 can hold: {error}") from error
    texts = {}
    for name, column in saved.attributes.items():
        expected = [0 if saved.vocabulary is None else len(saved.vocabulary)]
        if list(column.shape) != expected:
            found = list(column.shape)
            raise VectorFileError(f"{path}: attribute {name!r}: expected shape {expected}, one a word, found {found}")
        if can_hold(column.dtype):
            tensors[_ATTRIBUTE + name] = column
        else:
            texts[name] = column.tolist()
    parts = {"settings": dict(saved.settings), "counters": dict(saved.counters), "attributes": texts}
    metadata = {MODEL_KEY: MODEL_VERSION, **{name: _json(part, name, path) for name, part in parts.items()}}
    write_file(path, tensors, metadata, bfloat16=halves)


def read_model(path: str | os.PathLike[str]) -> SavedModel:
    """Reads what `write_model` wrote.

    Raises:
        VectorFileError: a file of another kind, a pickle of gensim's for example, or a damaged one; the message says
            what was found and what to do.
        OSError: the file cannot be read.
    """
    path = Path(path)
    refuse_pickle(path)
    file = SafetensorsFile(path)
    if not is_model(file):
        raise VectorFileError(
            f"{path}: expected a model, found vectors alone, which cannot be trained further; "
            "KeyedVectors.load reads them"
        )
    settings, counters, texts = (_object(file, name) for name in ("settings", "counters", "attributes"))
    if "weight" not in file.tensors:
        return SavedModel(settings=settings, counters=counters)
    words, counts = read_words(file)
    require_distinct(words, path)
    attributes = {
        name.removeprefix(_ATTRIBUTE): np.array(file.numbers(name))
        for name in file.tensors
        if name.startswith(_ATTRIBUTE)
    }
    for name, values in texts.items():
        attributes[name] = np.fromiter(values if isinstance(values, list) else (), dtype=object)
    for name, column in attributes.items():
        if column.shape != (len(words),):
            found = list(column.shape)
            raise VectorFileError(f"{path}: attribute {name!r}: expected {len(words)} values, found shape {found}")
    rows = {"weight": len(words), "out_vectors": len(words), "node_vectors": max(len(words) - 1, 1)}
    tables = {
        attribute: _table(file, name, rows[name]) for attribute, name in _TABLE_NAMES.items() if name in file.tensors
    }
    return SavedModel(
        settings=settings,
        counters=counters,
        vocabulary=Vocabulary(words, counts),
        attributes=attributes,
        **tables,
    )


def _array(table: Tensor) -> tuple[npt.NDArray[Any], bool]:
    """A table's numbers, and whether they are the halves of bfloat16."""
    host = table.detach().cpu()
    if host.dtype == torch.bfloat16:
        return host.view(torch.int16).numpy().view(np.uint16), True
    return host.numpy(), False


def _table(file: SafetensorsFile, name: str, rows: int) -> Tensor:
    values = np.array(file.numbers(name, *_TABLE_DTYPES.values()))
    columns = file.tensors["weight"].shape[1:]
    if len(columns) != 1 or values.shape != (rows, *columns):
        raise VectorFileError(f"{file.path}: {name}: expected shape [{rows}, D], found {list(values.shape)}")
    table = torch.from_numpy(values.view(np.int16) if values.dtype == np.uint16 else values)
    return table.view(torch.bfloat16) if values.dtype == np.uint16 else table


def _python_number(value: Any) -> Any:
    """A number of numpy's, from a search for settings perhaps, as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError


def _json(part: Mapping[str, Any], name: str, path: Path) -> str:
    try:
        return json_text(part, _python_number)
    except (TypeError, ValueError):
        for key, value in part.items():
            try:
                json_text(value, _python_number)
            except (TypeError, ValueError):
                raise VectorFileError(
                    f"{path}: {name}: {key}: expected numbers, text, lists or None, found {value!r:.100}"
                ) from None
        raise


def _object(file: SafetensorsFile, name: str) -> dict[str, Any]:
    try:
        found = json.loads(file.metadata.get(name, "null"))
    except (ValueError, RecursionError) as error:
        raise VectorFileError(f"{file.path}: metadata {name}: expected JSON, found: {error}") from error
    if not isinstance(found, dict):
        raise VectorFileError(f"{file.path}: metadata {name}: expected a JSON object, found {found!r:.100}")
    return found
