"""Promises of the ops as ops: what torch.library asks of them, memory layouts, and arguments that are refused."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from blocks import Loss, Model, Tables, draws_of, each_loss, each_model, random_block, random_tables
from torch import Tensor

from pyembed import ops
from pyembed.config import Backend
from pyembed.ops import registration
from pyembed.ops.registration import SCHEMAS
from pyembed.ops.torch_kernels import KERNELS
from pyembed.reference import Draws, RowGradients, TokenBlock
from pyembed.training.steps import tree_of

BLOCK, DRAWS = random_block(12), draws_of(12, window=3, negative=3)


def flat_arguments(block: TokenBlock = BLOCK, draws: Draws = DRAWS) -> tuple[Any, ...]:
    """What every schema lists after the tables."""
    own = {field.name: getattr(record, field.name) for record in (block, draws) for field in fields(record)}
    names = [argument.name for argument in torch.ops.pyembed.draw_windows.default._schema.arguments]
    assert set(names) == own.keys() - {"negative_weight", "together"}
    return tuple(own[name] for name in names)


# --- torch.library ----------------------------------------------------------------------------------------------------


def example_calls() -> dict[str, tuple[Any, ...]]:
    tables, stream, lr = random_tables(12, 5), flat_arguments(), (0.05, 0.02, 1, "add", 0)
    leaves = tuple(table.clone().requires_grad_() for table in tables)
    tree, single = tree_of(np.arange(1, 13), "cpu"), random_tables(12, 5, torch.float32)
    nodes = (single.in_vectors, single.out_vectors[:11].clone())
    paths = (*stream[:2], tree.path_starts, tree.path_nodes, tree.path_bits, *stream[3:7], *stream[9:])
    grad = torch.tensor(2.0, dtype=torch.float64)
    pairs = (torch.tensor([3, 3, 11]), torch.tensor([[1, 1], [0, 2], [11, 7]]))
    touched = (pairs[0], torch.ones(3, 5).double(), None, None, None, 0.5, 2.0)
    frozen = torch.arange(12) == 7
    bags = (*pairs[:1], torch.ones(2, 5).double(), torch.tensor([1, 0, 1]), torch.ones(3).double(), frozen, 1.0, 2.0)
    last_step, last_log_decay = torch.zeros(12, dtype=torch.int32), torch.zeros(12).double()
    return {
        "draw_windows": stream,
        "skipgram_step_": (*tables, *stream, *lr),
        "skipgram_loss": (*leaves, *stream),
        "skipgram_loss_backward": (grad, *tables, *stream),
        "cbow_step_": (*tables, *stream, True, False, *lr),
        "cbow_loss": (*leaves, *stream, True),
        "cbow_loss_backward": (grad, *tables, *stream, True),
        "skipgram_batch_step_": (*single.copy(), *stream, 0.5, True, *lr[:3]),
        "cbow_batch_step_": (*single.copy(), *stream, 0.5, True, True, False, *lr[:3]),
        "skipgram_hs_step_": (*nodes, *paths, *lr[:3]),
        "cbow_hs_step_": (*nodes, *paths, True, False, *lr[:3]),
        "keep_tokens": (BLOCK.ids, BLOCK.sentence_starts[:-1] + 7, torch.full((12,), -1, dtype=torch.int32), 7, 1, 0),
        "draw_negatives": (DRAWS.alias_table, 7, 9, 3, 1, 0),
        "pair_step_": (*tables, *pairs, 0.05, True, 1),
        "pair_loss": (*leaves, *pairs),
        "pair_loss_backward": (grad, *tables, *pairs),
        "lookup": (leaves[0], pairs[1]),
        "update_rows_sgd_": (tables[0], *bags, 0.1, 0.01, 3, 1),
        "update_rows_momentum_": (*tables.copy(), last_step, *touched, 0.1, 0.9, True, 0.01, 3, 1),
        "update_rows_adagrad_": (*tables.copy(), *touched, 0.1, 1e-10, 0.01, 3, 1),
        "update_rows_rowwise_adagrad_": (tables[0], torch.zeros(12).double(), *touched, 0.1, 1e-10, 0.01, 3, 1),
        "update_rows_adamw_": (
            *(*tables.copy(), torch.zeros(12, 5).double(), last_step.clone(), last_log_decay),
            *(*bags, 0.1, 0.9, 0.99, 1e-8, -0.01, 3, 1),
        ),
        "simd_name": (torch.empty(0),),
        "bfloat16_products_name": (torch.empty(0),),
        "has_bfloat16_products": (torch.empty(0), "skipgram", 5, 10, 6),
    }


# What these return depends on the machine and is no function of their arguments.
COMPILABLE = sorted(SCHEMAS.keys() - {"simd_name", "bfloat16_products_name", "has_bfloat16_products"})


@pytest.mark.parametrize("name", COMPILABLE)
def test_every_op_passes_opcheck(name: str) -> None:
    torch.library.opcheck(getattr(torch.ops.pyembed, name).default, example_calls()[name])


@pytest.mark.parametrize("name", [name for name, schema in SCHEMAS.items() if "!" in schema])
def test_autograd_refuses_what_it_saved_before_a_change(name: str) -> None:
    """Otherwise a backward pass would compute with the table as it is by then, and nobody would know."""
    op, arguments = getattr(torch.ops.pyembed, name).default, example_calls()[name]
    changed = [given for given, of in zip(arguments, op._schema.arguments, strict=True) if of.is_write]
    assert changed
    factor = torch.ones((), dtype=torch.float64, requires_grad=True)
    products = [(factor * table).sum() for table in changed]
    op(*arguments)
    for product in products:
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            product.backward()


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_op_has_a_torch_kernel_and_the_dispatcher_finds_one(name: str) -> None:
    assert name in KERNELS
    getattr(torch.ops.pyembed, name)(*example_calls()[name])


@pytest.mark.parametrize(
    "name",
    [
        "draw_windows",
        "draw_negatives",
        "keep_tokens",
        "skipgram_step_",
        "skipgram_loss",
        "skipgram_batch_step_",
        "cbow_step_",
        "cbow_loss",
        "cbow_batch_step_",
        "pair_step_",
        "pair_loss",
        "lookup",
        "update_rows_sgd_",
        "update_rows_momentum_",
        "update_rows_adagrad_",
        "update_rows_rowwise_adagrad_",
        "update_rows_adamw_",
    ],
)
def test_functions_take_the_arguments_of_their_op(name: str) -> None:
    """A function's block, draws and gradients are records; its backend is no argument of the op, and whether windows
    train together is said by its name."""
    for_batches = set() if "batch" in name else {"negative_weight"}
    records = {
        "block": [field.name for field in fields(TokenBlock)],
        "draws": [field.name for field in fields(Draws) if field.name not in {"together", *for_batches}],
        "given": RowGradients._fields,
        "products": ["bfloat16_products"],
    }
    taken = [
        field
        for parameter in inspect.signature(getattr(ops, name)).parameters
        for field in records.get(parameter, [parameter])
    ]
    arguments = [argument.name for argument in getattr(torch.ops.pyembed, name).default._schema.arguments]
    assert sorted(taken) == sorted([*arguments, "backend"])


@each_loss
def test_losses_compile_without_a_graph_break(loss: Loss) -> None:
    def call(in_vectors: Tensor, out_vectors: Tensor) -> Tensor:
        return 2 * loss.loss(in_vectors, out_vectors, BLOCK, DRAWS)

    results = []
    for function in (call, torch.compile(call, fullgraph=True, backend="aot_eager")):
        leaves = Tables(*(table.requires_grad_() for table in random_tables(12, 5)))
        value = function(*leaves)
        results.append((value, *torch.autograd.grad(value, leaves)))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@each_model
def test_steps_compile_without_a_graph_break(model: Model) -> None:
    def call(in_vectors: Tensor, out_vectors: Tensor) -> Tensor:
        return model.step_(in_vectors, out_vectors, BLOCK, DRAWS, 0.05, 0.02) / 2

    results = []
    for function in (call, torch.compile(call, fullgraph=True, backend="aot_eager")):
        tables = random_tables(12, 5)
        results.append((function(*tables), *tables))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_a_new_position_does_not_compile_anew() -> None:
    compiled_times = 0

    def count(graph: torch.fx.GraphModule, _inputs: Any) -> Callable[..., Any]:
        nonlocal compiled_times
        compiled_times += 1
        return graph.forward

    def step(in_vectors: Tensor, out_vectors: Tensor, first_position: int, epoch: int) -> Tensor:
        block, draws = replace(BLOCK, first_position=first_position), replace(DRAWS, epoch=epoch)
        return ops.skipgram_step_(in_vectors, out_vectors, block, draws, 0.05, 0.02)

    compiled = torch.compile(step, fullgraph=True, backend=count)
    tables = random_tables(12, 5)
    for i in range(6):
        compiled(*tables, 100 * i + 7, 3 * i + 2)
    assert compiled_times <= 2  # once for the first value, once for all


# --- which kernel runs ------------------------------------------------------------------------------------------------


def test_native_without_a_compiled_kernel_is_an_error() -> None:
    device = "xpu" if ops.status().native else "cpu"  # nothing is compiled for the former, whatever is built
    with pytest.raises(RuntimeError, match=r"backend 'native': expected a compiled kernel for .*; use 'torch'"):
        ops.kernel("skipgram_step_", "native", device)


def test_status_tells_what_is_in_use() -> None:
    status = ops.status()
    assert status.native == (status.reason is None)
    assert status.simd in (("avx512", "avx2", "neon", "plain") if status.native else ("none",))
    assert ops.is_native("skipgram_step_") == status.native
    assert not ops.is_native("skipgram_step_", "torch")


def test_a_missing_extension_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "LOAD_ERROR", "no compiler")
    registration.warn_of_fallback.cache_clear()
    draw = registration._default("draw_windows")
    with pytest.warns(UserWarning, match=r"slower PyTorch kernels.*no compiler.*C\+\+ compiler"):
        draw(*flat_arguments())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(*flat_arguments())


def test_a_device_without_compiled_kernels_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "LOAD_ERROR", None)
    monkeypatch.setitem(registration.KERNELS, "lookup", lambda weight: weight)
    registration.warn_of_fallback.cache_clear()
    lookup = registration._default("lookup")
    lookup(torch.empty(1))  # it is the only kernel on the CPU
    with pytest.warns(UserWarning, match=r"compiled ones for meta are not in use \(this build has none\)"):
        lookup(torch.empty(1, device="meta"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lookup(torch.empty(1, device="meta"))


def test_who_asks_for_torch_is_not_warned() -> None:
    registration.warn_of_fallback.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ops.draw_windows(BLOCK, DRAWS, backend="torch")


@each_model
def test_a_step_on_leaves_that_want_gradients_is_refused(model: Model, backend: Backend) -> None:
    tables = Tables(*(table.requires_grad_() for table in random_tables(12, 5)))
    with pytest.raises(RuntimeError, match=r"torch\.no_grad"):
        model.step_(*tables, BLOCK, DRAWS, 0.05, 0.02, backend=backend)
    with torch.no_grad():
        model.step_(*tables, BLOCK, DRAWS, 0.05, 0.02, backend=backend)
