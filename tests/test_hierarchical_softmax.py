"""Promises of the steps of hierarchical softmax: equal to the spec and to a slow twin, for any table, tree or block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import naive
import numpy as np
import pytest
import torch
from blocks import Tables as Pair
from blocks import assert_tables_close, block_of, blocks, draws_of, random_block, random_tables, require_native
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import softplus
from torch.testing import assert_close

from pyembed import ops, reference
from pyembed.config import Backend
from pyembed.ops import MachineError, kernel, path_kernels
from pyembed.reference import Draws, GradientOf, HuffmanTree, TokenBlock
from pyembed.training.steps import tree_of

LR = (0.05, 0.02)


class Model(NamedTuple):
    name: str
    step_: Callable[..., Tensor]
    gradient_of: GradientOf


def cbow(*, mean: bool, exact: bool) -> Model:
    return Model(
        f"cbow-{'mean' if mean else 'sum'}-{'exact' if exact else 'word2vec'}",
        partial(ops.cbow_hs_step_, mean=mean, exact_gradient=exact),
        partial(reference.cbow_gradient, mean=mean, exact_gradient=exact),
    )


SKIPGRAM = Model("skipgram", ops.skipgram_hs_step_, reference.skipgram_gradient)
MODELS = [SKIPGRAM, *(cbow(mean=mean, exact=exact) for mean in (True, False) for exact in (True, False))]
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)


def tree_for(vocabulary: int) -> HuffmanTree:
    """Of counts that fall by half, then stay: paths of 1 to many nodes."""
    counts = np.maximum(2 ** np.maximum(12 - np.arange(vocabulary), 0), 3)
    return tree_of(counts, "cpu")


def tables_for(vocabulary: int, dimensions: int, dtype: torch.dtype = torch.float64) -> Pair:
    in_vectors, nodes = random_tables(vocabulary, dimensions, dtype)
    return Pair(in_vectors, nodes[: max(vocabulary - 1, 1)].clone())


def spec_step(
    model: Model, tables: Pair, block: TokenBlock, draws: Draws, tree: HuffmanTree, lr: tuple[float, float]
) -> tuple[Pair, Tensor]:
    """What the sequential spec makes of the tables, in float64, and its sums."""
    after = Pair(*(table.double() for table in tables)).copy()
    windows_of = partial(reference.path_windows, tree)
    return after, reference.step_(model.gradient_of, *after, block, draws, *lr, windows_of=windows_of)


# --- the spec ---------------------------------------------------------------------------------------------------------


def naive_step(tables: list[naive.Table], block: TokenBlock, draws: Draws, tree: HuffmanTree, lr: float) -> float:
    """Skip-gram, number by number: every context against all nodes of its center's path. Returns the loss."""
    in_vectors, nodes = tables
    ids, loss = block.ids.tolist(), 0.0
    steps = list(zip(tree.path_nodes.tolist(), tree.path_bits.tolist(), strict=True))
    for start, stop in pairwise(block.sentence_starts.tolist()):
        for center in range(start, stop):
            reach = naive.radius(block.first_position + center, draws.window, draws.seed, draws.epoch)
            around = range(max(start, center - reach), min(stop, center + reach + 1))
            contexts = [ids[place] for place in around if place != center]
            begin, end = tree.path_starts[ids[center] : ids[center] + 2].tolist()
            changes: list[tuple[list[float], float, list[float]]] = []
            for context in contexts:
                for node, bit in steps[begin:end]:
                    score = naive.dot(in_vectors[context], nodes[node])
                    loss += naive.pair_loss(score, 1 - bit)
                    error = naive.sigmoid(score) - (1 - bit)
                    changes.append((in_vectors[context], -lr * error, list(nodes[node])))
                    changes.append((nodes[node], -lr * error, list(in_vectors[context])))
            for row, factor, vector in changes:
                for d, value in enumerate(vector):
                    row[d] += factor * value
    return loss


def test_the_spec_is_the_slow_twins_skipgram() -> None:
    block, draws, tree, tables = random_block(8), draws_of(8, window=3), tree_for(8), tables_for(8, 3)
    rows = [table.tolist() for table in tables]
    expected_loss = naive_step(rows, block, draws, tree, 0.1)
    after, total = spec_step(SKIPGRAM, tables, block, draws, tree, (0.1, 0.1))
    assert total[0].item() == pytest.approx(expected_loss)
    for found, expected in zip(after, rows, strict=True):
        assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_the_probabilities_of_all_words_add_up_to_one() -> None:
    """Which makes it a softmax."""
    tree, tables = tree_for(9), tables_for(9, 4)
    probabilities = []
    for word in range(9):
        block = block_of([[word, 5]], centers=(0, 1))
        _, (loss, _) = spec_step(SKIPGRAM, tables, block, draws_of(9, window=1), tree, (0, 0))
        probabilities.append(torch.exp(-loss))
    assert sum(probabilities).item() == pytest.approx(1)


def test_the_loss_is_gensims_on_the_same_weights() -> None:
    gensim = pytest.importorskip("gensim.models", reason="gensim is not installed")
    V, D, window = 60, 8, 3
    rng = np.random.default_rng(1)
    counts = np.sort(rng.choice(np.arange(1, 100_000), V, replace=False))[::-1]  # no ties, so there is one tree
    model = gensim.Word2Vec(hs=1, negative=0, sg=1, vector_size=D, window=window, min_count=1)
    model.build_vocab_from_freq({f"w{i}": int(count) for i, count in enumerate(counts)}, corpus_count=1)
    in_vectors, nodes = tables_for(V, D, torch.float32)
    model.wv.vectors[:] = in_vectors.numpy()
    model.syn1[: V - 1] = nodes.numpy()
    ids = rng.integers(0, V, 30).tolist()
    expected = 0.0
    for place, center in enumerate(ids):
        point, code = (model.wv.get_vecattr(f"w{center}", name) for name in ("point", "code"))
        for context in ids[max(0, place - window) : place] + ids[place + 1 : place + 1 + window]:
            scores = nodes[point].double() @ in_vectors[context].double()
            expected += softplus(torch.where(torch.from_numpy(code) == 0, -scores, scores)).sum().item()
    block, draws = block_of([ids]), draws_of(V, window=window, shrink_windows=False)
    loss, _ = ops.skipgram_hs_step_(in_vectors, nodes, block, draws, tree_of(counts.copy(), "cpu"), 0.0, 0.0)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    theirs = -model.score([[f"w{i}" for i in ids]], 1)[0]
    assert loss.item() == pytest.approx(theirs, rel=0.03)  # whose table of sigmoids is that coarse


# --- steps ------------------------------------------------------------------------------------------------------------


@each_model
@pytest.mark.parametrize("dimensions", [1, 7, 31, 100, 128, 300, 513])
@pytest.mark.parametrize("shrink_windows", [True, False], ids=["shrinking", "fixed"])
def test_compiled_float32_is_the_sequential_spec_where_contexts_are_distinct(
    model: Model, dimensions: int, shrink_windows: bool, compiled: Backend
) -> None:
    block = block_of([[7], list(range(60)), [], [9, 8]])
    draws, tree = draws_of(60, shrink_windows=shrink_windows), tree_for(60)
    tables = tables_for(60, dimensions, torch.float32)
    after = tables.copy()
    total = model.step_(*after, block, draws, tree, *LR, backend=compiled)
    expected, expected_total = spec_step(model, tables, block, draws, tree, LR)
    assert_tables_close(after, expected, rtol=1e-4, atol=1e-5)
    assert_close(total, expected_total, rtol=1e-5, atol=0)


@each_model
@settings(max_examples=30)
@given(block=blocks(vocabulary=7), window=st.integers(1, 6), lr=st.sampled_from([0.0, 1e-4]))
def test_a_small_step_follows_the_gradient_on_any_block(
    model: Model, block: TokenBlock, window: int, lr: float, compiled: Backend
) -> None:
    """Repeated contexts, words of a path of one node, positions beyond 2^32."""
    draws, tree = draws_of(7, window=window), tree_for(7)
    tables = tables_for(7, 5, torch.float32)
    after = tables.copy()
    total = model.step_(*after, block, draws, tree, lr, lr, backend=compiled)
    expected, expected_total = spec_step(model, tables, block, draws, tree, (lr, lr))
    assert_close(total, expected_total, rtol=1e-5, atol=1e-6)
    assert_tables_close(after, expected, rtol=0, atol=3e-6)  # a lost update would be ten times as much


@each_model
def test_the_pytorch_kernel_in_float64_is_the_spec(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_kernels, "PAIRS_PER_BATCH", 1)
    block, draws, tree, tables = random_block(9), draws_of(9), tree_for(9), tables_for(9, 5)
    after = tables.copy()
    total = model.step_(*after, block, draws, tree, *LR)
    expected, expected_total = spec_step(model, tables, block, draws, tree, LR)
    assert_tables_close(after, expected, rtol=1e-12, atol=1e-12)
    assert_close(total, expected_total)


@each_model
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_thread_repeats_and_two_learn_the_same(model: Model, dtype: torch.dtype, backend: Backend) -> None:
    block, draws, tree = random_block(300, [50] * 400), draws_of(300), tree_for(300)

    def trained(threads: int) -> tuple[Pair, list[float]]:
        tables = tables_for(300, 20, dtype)
        totals = [model.step_(*tables, block, draws, tree, *LR, threads=threads, backend=backend) for _ in range(2)]
        return tables, [total[0].item() for total in totals]

    (first, losses), (again, _), (_, losses_of_two) = trained(1), trained(1), trained(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert losses_of_two == pytest.approx(losses, rel=0.02)
    assert losses[1] < losses[0]


@each_model
@pytest.mark.parametrize("vocabulary", [40, 600])
def test_no_thread_loses_what_others_learn(model: Model, vocabulary: int) -> None:
    require_native()
    block, draws, tree = random_block(vocabulary, [50] * 800), draws_of(vocabulary), tree_for(vocabulary)
    tables = tables_for(vocabulary, 20, torch.float32)
    one, five = tables.copy(), tables.copy()
    lr = (4e-6, 2e-6)  # so small that the order of updates hardly matters, and a lost one does
    for after, threads in ((one, 1), (five, 5)):
        model.step_(*after, block, draws, tree, *lr, threads=threads, backend="native")
    for before, alone, together in zip(tables, one, five, strict=True):
        assert (alone - together).norm() < 0.1 * (alone - before).norm()


@each_model
def test_tables_of_bfloat16_train_as_those_of_float32_do_on_average(model: Model, backend: Backend) -> None:
    block, draws, tree = random_block(50, [40] * 100), draws_of(50), tree_for(50)
    half = Pair(*(table.bfloat16() for table in tables_for(50, 33, torch.float32)))
    single = Pair(*(table.float() for table in half))
    loss_of_half = model.step_(*half, block, draws, tree, *LR, backend=backend)
    loss = model.step_(*single, block, draws, tree, *LR, backend=backend)
    assert_close(loss_of_half, loss, rtol=0.01, atol=0)
    for rounded, exact in zip(half, single, strict=True):
        assert (rounded.float() - exact).norm() < 0.1 * exact.norm()


@each_model
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_vocabulary_of_one_word_counts_pairs_and_trains_nothing(
    model: Model, dtype: torch.dtype, backend: Backend
) -> None:
    tables, draws = tables_for(1, 5, dtype), draws_of(1, window=2, shrink_windows=False)
    after = tables.copy()
    loss, pairs = model.step_(*after, block_of([[0, 0, 0]]), draws, tree_for(1), *LR, backend=backend).tolist()
    assert (loss, pairs) == (0, 6 if model is SKIPGRAM else 3)
    assert all(torch.equal(a, b) for a, b in zip(after, tables, strict=True))


@each_model
def test_rows_that_no_window_uses_stay_as_they_are(model: Model, backend: Backend) -> None:
    block, draws, tree = block_of([[1, 2, 3], [4], [5, 6]], centers=(1, 5)), draws_of(90), tree_for(90)
    tables = tables_for(90, 9, torch.float32)
    after = tables.copy()
    model.step_(*after, block, draws, tree, *LR, backend=backend)
    moved = [set((a != b).any(1).nonzero().flatten().tolist()) for a, b in zip(after, tables, strict=True)]
    on_paths = {
        node for word in (2, 3, 5) for node in tree.path_nodes[slice(*tree.path_starts[word : word + 2])].tolist()
    }
    assert moved[0] <= {1, 2, 3, 5, 6}
    assert moved[0]
    assert moved[1] <= on_paths
    assert tree.path_nodes[tree.path_starts[2]].item() in moved[1]


@each_model
def test_blocks_and_parts_of_a_block_add_up(model: Model, compiled: Backend) -> None:
    block, draws, tree = random_block(40, [30] * 20), draws_of(40), tree_for(40)
    whole, parts = tables_for(40, 11, torch.float32), tables_for(40, 11, torch.float32)
    model.step_(*whole, block, draws, tree, *LR, backend=compiled)
    count = len(block.ids)
    for begin, end in ((0, 1), (1, 300), (300, 300), (300, count)):
        rates = [LR[0] + (LR[1] - LR[0]) * edge / count for edge in (begin, end)]
        part = replace(block, center_begin=begin, center_end=end)
        model.step_(*parts, part, draws, tree, *rates, backend=compiled)
    assert_tables_close(parts, whole, rtol=1e-4, atol=1e-5)


def test_tables_of_any_layout_train_alike(backend: Backend) -> None:
    block, draws, tree, tables = random_block(12), draws_of(12), tree_for(12), tables_for(12, 5, torch.float32)
    apart = Pair(*(table.T.clone(memory_format=torch.contiguous_format).T for table in tables))
    SKIPGRAM.step_(*apart, block, draws, tree, *LR, backend=backend)
    SKIPGRAM.step_(*tables, block, draws, tree, *LR, backend=backend)
    assert_tables_close(apart, tables, rtol=1e-6, atol=1e-7)


# --- what is refused --------------------------------------------------------------------------------------------------


def changed(tree: HuffmanTree, field: str, index: int, value: int) -> HuffmanTree:
    tensor = getattr(tree, field).clone()
    tensor[index] = value
    return replace(tree, **{field: tensor})


TREE = tree_for(9)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (changed(TREE, "path_nodes", 0, 8), r"path_nodes: expected 0 to V - 2 = 7, got 8 at index 0"),
        (changed(TREE, "path_nodes", 1, -1), r"path_nodes: expected 0 to V - 2 = 7, got -1 at index 1"),
        (changed(TREE, "path_starts", 1, 10**6), r"path_starts: expected to ascend from 0 to the number of path_nodes"),
        (changed(TREE, "path_starts", 1, -5), r"path_starts: expected to ascend from 0 to the number of path_nodes"),
        (replace(TREE, path_bits=TREE.path_bits[1:]), r"path_bits: expected as many as path_nodes"),
        (replace(TREE, path_bits=TREE.path_bits.int()), r"path_bits: expected uint8\[n\]"),
        (replace(TREE, path_nodes=TREE.path_nodes.long()), r"path_nodes: expected int32\[n\]"),
        (replace(TREE, path_starts=TREE.path_starts[:1]), r"path_starts: expected 2 elements or more"),
        (tree_for(7), r"ids: expected 0 to V - 1 = 6, got [78]"),
        (tree_for(10), r"in_vectors: expected shape \[V, D\] with V = 10 rows"),
    ],
)
def test_a_tree_that_does_not_fit_is_refused(tree: HuffmanTree, message: str, backend: Backend) -> None:
    block = block_of([list(range(9))])
    with pytest.raises(RuntimeError, match=message):
        SKIPGRAM.step_(*tables_for(9, 4, torch.float32), block, draws_of(9), tree, *LR, backend=backend)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, b: (a, b[:-1]), r"node_vectors: expected shape \[max\(V - 1, 1\), D\] = \[8, 4\]"),
        (lambda a, b: (a, b[:, :3]), r"node_vectors: expected shape \[max\(V - 1, 1\), D\] = \[8, 4\]"),
        (lambda a, b: (a, b.bfloat16()), r"node_vectors: expected the dtype and device of in_vectors"),
        (lambda a, b: (a.half(), b.half()), r"in_vectors: expected float32"),
    ],
)
def test_tables_that_do_not_fit_are_refused(change: Any, message: str, backend: Backend) -> None:
    tables = change(*tables_for(9, 4, torch.float32))
    with pytest.raises(RuntimeError, match=message):
        SKIPGRAM.step_(*tables, random_block(9), draws_of(9), TREE, *LR, backend=backend)


def test_the_compiled_op_itself_refuses_float64() -> None:
    require_native()
    block, draws = random_block(9), draws_of(9)
    with pytest.raises(RuntimeError, match=r"expected float32 or bfloat16; the PyTorch kernel trains float64"):
        torch.ops.pyembed.skipgram_hs_step_(
            *tables_for(9, 4),
            *(block.ids, block.sentence_starts, TREE.path_starts, TREE.path_nodes, TREE.path_bits),
            *(0, 0, len(block.ids), draws.window, 1, 0, True, *LR, 1),
        )


def test_there_is_no_compiled_kernel_for_a_gpu() -> None:
    with pytest.raises(MachineError, match=r"expected a compiled kernel for cuda, found none"):
        kernel("skipgram_hs_step_", "native", "cuda")
