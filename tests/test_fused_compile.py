"""Fused tables in compiled models: one graph, and the same table afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from pyembed import nn as pnn
from pyembed import ops, optim

V, D = 20, 8


class Model(torch.nn.Module):
    """Looks the same table up twice, with the same ids if told so, and has a layer of its own."""

    def __init__(self, table: torch.nn.Module, second: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.table, self.second = table, second
        self.layer = torch.nn.Linear(D, 3)

    def forward(self, *batch: Tensor) -> Tensor:
        first, *rest = batch
        return self.layer(self.table(first, *rest) + self.table(self.second(first), *rest)).square().sum()


def trained(
    model: torch.nn.Module, run: Callable[..., Tensor], optimizer: Any, batches: list[tuple[Tensor, ...]]
) -> None:
    others = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    for batch in batches:
        run(*batch).backward()
        for each in (others, optimizer):
            each.step()
            each.zero_grad()


def pair(kind: type, second: Callable[[Tensor], Tensor], **options: Any) -> list[tuple[Model, Any]]:
    torch.manual_seed(0)
    first = Model(kind(V, D, **options), second)
    twin = Model(kind(V, D, **options), second)
    twin.load_state_dict(first.state_dict())
    return [(model, optim.fuse(model.table, optim.AdamW, lr=0.1)) for model in (first, twin)]


@pytest.mark.parametrize("second", [lambda ids: ids, lambda ids: (ids + 1) % V], ids=["same", "other"])
@pytest.mark.parametrize("compiler", ["aot_eager", "inductor"])
def test_a_compiled_model_trains_to_the_same_table(compiler: str, second: Callable[[Tensor], Tensor]) -> None:
    """Two lookups of the same ids are two, though a compiler likes to make one of them."""
    torch._dynamo.reset()
    (eager, eager_optimizer), (model, optimizer) = pair(pnn.Embedding, second, padding_idx=0)
    batches = [(torch.randint(V, (5,)),) for _ in range(4)]
    trained(eager, eager, eager_optimizer, batches)
    trained(model, torch.compile(model, fullgraph=True, backend=compiler), optimizer, batches)
    assert_close(model.table.weight, eager.table.weight)
    assert optimizer.state[model.table.weight]["step"] == 4


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_compiled_bags_train_to_the_same_table(mode: str) -> None:
    torch._dynamo.reset()
    (eager, eager_optimizer), (model, optimizer) = pair(pnn.EmbeddingBag, lambda ids: ids, mode=mode)
    batches = [(torch.randint(V, (6,)), torch.tensor([0, 2, 2, 5])) for _ in range(3)]
    trained(eager, eager, eager_optimizer, batches)
    trained(model, torch.compile(model, fullgraph=True, backend="aot_eager"), optimizer, batches)
    assert_close(model.table.weight, eager.table.weight)


def test_a_compiled_model_follows_the_length_of_its_batches() -> None:
    torch._dynamo.reset()
    (eager, eager_optimizer), (model, optimizer) = pair(pnn.Embedding, lambda ids: ids, scale_grad_by_freq=True)
    batches = [(torch.randint(V, (length,)),) for length in (5, 3, 9, 4)]
    trained(eager, eager, eager_optimizer, batches)
    trained(model, torch.compile(model, fullgraph=True, backend="aot_eager"), optimizer, batches)
    assert_close(model.table.weight, eager.table.weight)


def test_compiled_autograd_is_refused() -> None:
    """It would drop what is to be done at the end of a pass, and say nothing."""
    torch._dynamo.reset()
    ((model, _), _) = pair(pnn.Embedding, lambda ids: ids)
    loss, before = model(torch.tensor([1, 2])), model.table.weight.detach().clone()
    with (
        torch._dynamo.compiled_autograd._enable(torch.compile(backend="eager")),
        pytest.raises(RuntimeError, match=r"compiled autograd.*unfuse\(module\)"),
    ):
        loss.backward()
    assert torch.equal(model.table.weight, before)
    model(torch.tensor([1, 2])).backward()
    assert not torch.equal(model.table.weight, before)


def test_the_op_is_what_compilers_expect() -> None:
    """Its schema, its fake kernel and its autograd agree with what it does."""

    class Recipient:
        def accept(self, gradient: Any) -> None:
            pass

    recipient = Recipient()
    address = ops.new_address(recipient)
    ids, grad = torch.tensor([1, 2]), torch.randn(2, D)
    torch.library.opcheck(torch.ops.pyembed.deliver_rows, (torch.empty(1), ids, grad, None, None, address))


def test_several_tables_share_compiled_code_and_nothing_else() -> None:
    """Models of one class, one after the other: each compiled lookup still finds the optimiser of its own table."""
    torch._dynamo.reset()
    for _ in range(3):
        (eager, eager_optimizer), (model, optimizer) = pair(pnn.Embedding, lambda ids: ids)
        batches = [(torch.randint(V, (length,)),) for length in (5, 3)]
        trained(eager, eager, eager_optimizer, batches)
        trained(model, torch.compile(model, fullgraph=True, backend="aot_eager"), optimizer, batches)
        assert_close(model.table.weight, eager.table.weight)
