"""Promises of the trainer on a GPU, seen on the CPU: the same blocks, the same vectors, and no table that does not fit.

The CUDA kernels run under the execution shim; torch's streams and memory are stood in for (simt.py).
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simt
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_subsample import SENTENCES, THRESHOLDS, subsampler_of, token_ids_of
from torch import Tensor
from torch.testing import assert_close

from pyembed import ops
from pyembed.config import CorpusConfig, TrainConfig
from pyembed.corpus import TokenIds, Vocabulary, ingest_sentences
from pyembed.corpus.sampling import keep_tokens
from pyembed.corpus.tables import frequent_words, keep_thresholds
from pyembed.demo.docstrings import docstrings_of
from pyembed.ops import MachineError
from pyembed.training import blocks, device_blocks
from pyembed.training.blocks import HostBlocks
from pyembed.training.device_blocks import DeviceBlocks
from pyembed.training.device_memory import require_device_memory
from pyembed.training.loop import TrainingLoop
from pyembed.training.progress import TrainingProgress
from pyembed.training.steps import windows_at_once
from pyembed.training.tables import Tables, new_tables

CPU = torch.device("cpu")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    simt.take_the_cpu_for_a_gpu(monkeypatch)


# --- blocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("gpu")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SENTENCES, st.integers(1, 200), st.integers(1, 6), st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1))
def test_blocks_made_on_the_device_are_those_made_on_the_cpu(
    sentences: list[list[int]], block_tokens: int, window: int, seed: int, epoch: int
) -> None:
    subsampler = subsampler_of(token_ids_of(sentences), window=window, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        for room in (blocks, device_blocks):
            patch.setattr(room, "BLOCK_TOKENS", block_tokens)
        sources = (HostBlocks(subsampler, CPU), DeviceBlocks(subsampler, CPU))
        for expected, found in itertools.zip_longest(*(source.blocks(epoch) for source in sources)):
            assert torch.equal(found.tokens.ids, expected.tokens.ids)
            assert torch.equal(found.tokens.sentence_starts, expected.tokens.sentence_starts)
            for field in ("first_position", "center_begin", "center_end"):
                assert getattr(found.tokens, field) == getattr(expected.tokens, field)
            assert (found.begin, found.end, found.next_position) == (
                expected.begin,
                expected.end,
                expected.next_position,
            )
            assert found.tokens.ids.dtype == torch.int32
            assert found.tokens.sentence_starts.dtype == torch.int64


@pytest.mark.parametrize("executor", ["torch", "simt"])
@pytest.mark.parametrize(
    ("first", "count"), [(0, 3000), (1, 1023), (2**32 - 5, 1025), (2**40 + 7, 1), (6, 2), (3, 0), (1, 4096)]
)
def test_every_executor_keeps_the_tokens_that_the_cpu_keeps(executor: Any, first: int, count: int) -> None:
    """More tokens than a tile holds, positions that begin amid a group of four, sentences anywhere."""
    if executor == "simt":
        simt.require()
    rng = np.random.default_rng(count)
    ids = rng.integers(0, 5, count).astype(np.int32)
    starts = np.unique(first + rng.integers(0, max(count, 1), count // 7))
    thresholds = np.array(THRESHOLDS, np.uint32)
    expected = keep_tokens(ids, first, starts, thresholds, np.uint64(9), np.uint64(2))
    arguments = (torch.from_numpy(array) for array in (ids, starts, thresholds.view(np.int32)))
    found = ops.keep_tokens(*arguments, first, 9, 2, backend=executor)
    for tensor, array in zip(found, expected, strict=True):
        assert tensor.numpy().dtype == array.dtype
        assert tensor.tolist() == array.tolist()


@pytest.mark.parametrize("executor", ["torch", "simt"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": torch.tensor([0, 4, 5], dtype=torch.int32)}, r"ids: expected 0 to V - 1 = 4, got 5 at index 2"),
        ({"ids": torch.tensor([0, -1, 5], dtype=torch.int32)}, r"ids: expected 0 to V - 1 = 4, got -1 at index 1"),
        ({"ids": torch.zeros(3)}, "ids: expected int32"),
        ({"sentence_starts": torch.tensor([7, 10])}, r"sentence_starts: expected .*7 to 9.*got 10 at index 1"),
        ({"sentence_starts": torch.tensor([6])}, r"sentence_starts: expected .*7 to 9.*got 6 at index 0"),
        ({"sentence_starts": torch.tensor([9, 8])}, r"sentence_starts: expected .*got 8 at index 1"),
        ({"keep_threshold": torch.zeros(5)}, "keep_threshold: expected int32"),
        ({"first_position": -1}, "first_position: expected >= 0, got -1"),
        ({"seed": -1}, "seed"),
        ({"epoch": 2**32}, "epoch"),
    ],
)
def test_bad_tokens_are_refused_by_name(executor: Any, change: dict[str, Any], message: str) -> None:
    if executor == "simt":
        simt.require()
    arguments = {
        "ids": torch.zeros(3, dtype=torch.int32),
        "sentence_starts": torch.tensor([8]),
        "keep_threshold": torch.zeros(5, dtype=torch.int32),
        "first_position": 7,
        "seed": 1,
        "epoch": 0,
    }
    ops.keep_tokens(**arguments, backend=executor)
    with pytest.raises(RuntimeError, match=message):
        ops.keep_tokens(**{**arguments, **change}, backend=executor)


# --- the trainer ------------------------------------------------------------------------------------------------------


def first_tokens(sentences: Iterable[list[str]], count: int) -> tuple[Vocabulary, TokenIds]:
    """So many tokens, of which those that occur twice make the vocabulary."""
    kept, room = [], count
    for sentence in sentences:
        kept.append(sentence[:room])
        room -= len(kept[-1])
        if room == 0:
            break
    assert room == 0
    corpus = ingest_sentences(kept, CorpusConfig(min_count=2))
    return corpus.vocabulary, corpus.token_ids


def docstrings() -> Iterator[list[str]]:
    """Of modules that every Python has: what the demo trains on, from fewer files."""
    for module in (argparse, json, logging):
        for text in docstrings_of(Path(module.__file__).read_bytes()):
            yield text.split()


def english() -> Iterator[list[str]]:
    path = Path(__file__).parents[2] / "shared" / "data" / "corpora" / "english-1m.txt.gz"
    if not path.exists():
        pytest.skip(f"there is no {path.name}")
    with gzip.open(path, "rt") as lines:
        for line in lines:
            yield line.split()


def run(loop: TrainingLoop) -> TrainingLoop:
    with TrainingProgress(loop.token_ids.n_tokens * loop.config.epochs, shown=False) as progress:
        loop.run(progress)
    return loop


def in_float64(tables: Tables) -> Tables:
    return replace(tables, in_padded=tables.in_padded.double(), out_padded=tables.out_padded.double())


@pytest.mark.parametrize("model", ["skipgram", "cbow"])
@pytest.mark.parametrize(("text", "tokens", "epochs"), [(docstrings, 4_000, 2), (english, 20_000, 1)])
def test_the_trainer_makes_the_vectors_of_the_cpus_sequential_mode(
    model: Any, text: Any, tokens: int, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it but the device itself: corpus, blocks, subsampling, schedule, one window after the other."""
    if not ops.status().native:
        pytest.skip(f"the compiled kernels are missing: {ops.status().reason}")
    vocabulary, token_ids = first_tokens(text(), tokens)
    config = TrainConfig(model=model, negatives_from="window", threads=1, epochs=epochs)
    start = new_tables(len(vocabulary.words), config)
    loops = {
        name: TrainingLoop(tables, vocabulary, token_ids, config)
        for name, tables in (
            ("cpu", replace(start, in_padded=start.in_padded.clone(), out_padded=start.out_padded.clone())),
            ("float64", in_float64(start)),
        )
    }
    for loop in loops.values():
        run(loop)
    simt.take_the_cpu_for_a_gpu(monkeypatch)
    monkeypatch.setattr(device_blocks, "BLOCK_TOKENS", blocks.BLOCK_TOKENS)
    loops["gpu"] = TrainingLoop(start, vocabulary, token_ids, config)
    assert isinstance(loops["gpu"]._source, DeviceBlocks)
    run(loops["gpu"])

    for other in ("cpu", "float64"):
        for found, expected in zip(loops["gpu"].epochs, loops[other].epochs, strict=True):
            assert (found.pairs, found.trained_tokens) == (expected.pairs, expected.trained_tokens)
            assert found.loss == pytest.approx(expected.loss, rel=1e-3 if other == "cpu" else 1e-6)
        for table in ("in_vectors", "out_vectors"):
            found, expected = (getattr(loops[name].tables, table).double() for name in ("gpu", other))
            if (model, other) == ("skipgram", "cpu"):
                # Where a context stands twice in a window, the CPU alone updates its row one time after the other.
                assert (found - expected).norm() < 0.02 * expected.norm()
            else:
                assert_close(found, expected, rtol=0, atol=5e-6)


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("model", ["skipgram", "cbow"])
@pytest.mark.parametrize("table_dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("write_back", ["add", "store"])
def test_many_warps_learn_what_one_learns(model: Any, table_dtype: Any, write_back: Any) -> None:
    vocabulary, token_ids = first_tokens(docstrings(), 3_000)
    options = {"vector_size": 32, "epochs": 1, "table_dtype": table_dtype, "alpha": 0.01}
    config = TrainConfig(model=model, negatives_from="window", threads=1, **options)
    losses = []
    for threads in (1, 4):
        changed = replace(config, threads=threads, write_back=write_back)
        tables = new_tables(len(vocabulary.words), changed)
        losses.append(run(TrainingLoop(tables, vocabulary, token_ids, changed)).epochs[0].loss)
        assert tables.in_padded.isfinite().all()
        assert tables.out_padded.any()
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


@pytest.mark.parametrize("model", ["skipgram", "cbow"])
def test_how_rows_are_written_back_and_which_are_held_reaches_the_kernel(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []

    def spy(*_: object, **options: Any) -> Tensor:
        given.append((options["write_back"], options["frequent"]))
        return torch.zeros(2, dtype=torch.float64)

    monkeypatch.setattr(ops, f"{model}_step_", spy)
    vocabulary, token_ids = first_tokens(docstrings(), 100)
    frequent = frequent_words(vocabulary.counts, keep_thresholds(vocabulary.counts, TrainConfig().sample))
    assert frequent > 0
    for write_back in ("add", "store"):
        options = {"vector_size": 4, "epochs": 1, "write_back": write_back}
        config = TrainConfig(model=model, negatives_from="window", **options)
        run(TrainingLoop(new_tables(len(vocabulary.words), config), vocabulary, token_ids, config))
    assert given == [("add", frequent), ("store", frequent)]


@pytest.mark.parametrize(("threads", "warps"), [(None, 0), (1, 1), (8, 0)])
def test_threads_of_the_cpu_are_no_warps_of_a_gpu_but_one_is(threads: int | None, warps: int) -> None:
    assert windows_at_once(TrainConfig(device="cuda:1", threads=threads)) == warps
    assert windows_at_once(TrainConfig(threads=3)) == 3


# --- memory -----------------------------------------------------------------------------------------------------------


def test_tables_that_do_not_fit_are_refused_with_the_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (15 * 10**9, 16 * 10**9))
    config = TrainConfig(vector_size=300, device="cuda")
    message = (
        r"two tables of 10,000,000 rows and 304 columns of float32 need 24\.3 GB, training 1\.2 GB beside them, "
        r"25\.5 GB in all; cuda has 15\.0 GB free of 16\.0 GB: choose table_dtype bfloat16 \(13\.4 GB\), "
        r"max_final_vocab 5,\d{3},\d{3} or a higher min_count, vector_size 160, or device cpu"
    )
    with pytest.raises(MemoryError, match=message):
        new_tables(10_000_000, config)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_the_message_advises_fits(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (15 * 10**9, 16 * 10**9))
    rows, columns, device = 40_000_000, 304, torch.device("cuda:1")
    with pytest.raises(MemoryError) as refused:
        require_device_memory(2, rows, columns, dtype, device)
    fitting = re.search(r"max_final_vocab ([\d,]+).*vector_size (\d+)", str(refused.value))
    assert fitting
    fewer_rows, fewer_columns = (int(group.replace(",", "")) for group in fitting.groups())
    require_device_memory(2, fewer_rows, columns, dtype, device)
    require_device_memory(2, rows, fewer_columns, dtype, device)
    for one_more in ((fewer_rows + 1, columns), (rows, fewer_columns + 16)):
        with pytest.raises(MemoryError):
            require_device_memory(2, *one_more, dtype, device)


def test_what_does_not_fit_is_not_advised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (10**9, 16 * 10**9))
    with pytest.raises(MemoryError, match=r"1\.0 GB free of 16\.0 GB: choose device cpu$"):
        require_device_memory(2, 1000, 112, torch.float32, torch.device("cuda"))


def test_a_gpu_that_is_not_there_is_told_in_one_sentence() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(MachineError) as refused:
        ops.require_machine("skipgram_step_", "auto", "cuda")
    assert re.fullmatch(r"device 'cuda': [^.\n]*\.?", str(refused.value))
