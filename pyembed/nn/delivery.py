"""Lookups whose gradient goes to a receiver instead of to the table: what a fused optimiser is fed by.

The output hangs on autograd by the receiver's anchor, not by the table. When a backward pass comes to the lookup, its
ids and the gradient of its rows are kept; at the end of the pass the receiver gets all that the pass has brought, at
once. No gradient of the table's shape ever exists. bag_delivery.py does the same for bags.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections import defaultdict
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor
from torch._compile import _disable_dynamo

from pyembed import ops
from pyembed.nn.eager import is_transforming
from pyembed.reference import RowGradients, arithmetic_dtype


class Receiver(ABC):
    """Takes the gradients of one table."""

    def __init__(self) -> None:
        self.anchor = torch.zeros(1, requires_grad=True)
        self.address = ops.new_address(self)

    @abstractmethod
    def receive(self, gradients: list[RowGradients]) -> None:
        """Called at the end of each backward pass that came to a lookup of this table; one item for each lookup."""

    def accept(self, gradient: RowGradients) -> None:
        """Keeps the gradient of one lookup until the end of the running backward pass.

        Raises:
            RuntimeError: compiled autograd runs the pass, which calls nobody at its end.
        """
        autograd = sys.modules.get("torch._dynamo.compiled_autograd")
        if autograd is not None and autograd.in_compiled_autograd_region:
            raise RuntimeError(
                "expected a backward pass that PyTorch's engine runs, found one under compiled autograd, which a table "
                "with a fused optimiser cannot follow; turn that off, or pyembed.optim.unfuse(module) first"
            )
        number = torch._C._current_graph_task_id()
        running = _passes.get(number)
        if running is None:
            running = _passes[number] = _Pass()
            torch.autograd.Variable._execution_engine.queue_callback(running.finish)
        running.gradients[self].append(gradient)


class _Pass:
    """What a backward pass has brought so far. The pass alone holds it, so that nothing is left where it fails."""

    def __init__(self) -> None:
        self.gradients: defaultdict[Receiver, list[RowGradients]] = defaultdict(list)

    @_disable_dynamo
    def finish(self) -> None:
        # In an order that all processes agree on, whatever the order of their lookups: a receiver may talk to others.
        for receiver in sorted(self.gradients, key=lambda receiver: receiver.address):
            receiver.receive(self.gradients[receiver])


_passes: WeakValueDictionary[int, _Pass] = WeakValueDictionary()


def lookup(weight: Tensor, ids: Tensor, receiver: Receiver, *, scale_grad_by_freq: bool = False) -> Tensor:
    """The rows of weight at ids, [..., D], whose gradient goes to the receiver.

    weight: [V, D]; ids: int32 or int64 of any shape; scale_grad_by_freq: as in torch.nn.Embedding.

    Raises:
        IndexError: an id is no row of weight.
        RuntimeError: called under vmap, grad or another transform of torch.func; or, from the backward pass, under
            create_graph=True.
    """
    require_no_transform()
    rows: Tensor = _Lookup.apply(receiver.anchor, weight, ids, receiver.address, scale_grad_by_freq)  # type: ignore[no-untyped-call]
    return rows


def require_no_transform() -> None:
    if not torch.compiler.is_compiling() and is_transforming():
        raise RuntimeError(
            "a table with a fused optimiser has no gradient, which transforms of torch.func and forward-mode "
            "differentiation ask for; call it under torch.no_grad(), or pyembed.optim.unfuse(module) first"
        )


def send(address: int, gradient: RowGradients) -> Tensor | None:
    """Sends off the gradient of a lookup to the receiver of this address; returns the gradient of its anchor."""
    if torch.compiler.is_compiling():
        return ops.deliver_when_run(address, gradient)
    if torch.is_grad_enabled():
        raise RuntimeError(
            "create_graph=True: the update of a table by its fused optimiser cannot be differentiated; "
            "pyembed.optim.unfuse(module) first"
        )
    ops.deliver(address, gradient)
    return None


def frequencies(ids: Tensor) -> Tensor:
    """How often each id stands among them, int64 of ids' shape; by shapes that depend on shapes alone."""
    ordered = ids.flatten().sort().values
    first, behind = (torch.searchsorted(ordered, ids.contiguous(), right=right) for right in (False, True))
    return behind - first


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, _anchor: Tensor, weight: Tensor, ids: Tensor, address: int, by_frequency: bool) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.address, ctx.by_frequency, ctx.dtype = address, by_frequency, arithmetic_dtype(weight)
        return torch.embedding(weight, ids)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        (ids,) = ctx.saved_tensors
        factors = 1 / frequencies(ids).to(ctx.dtype) if ctx.by_frequency else None
        anchor = send(ctx.address, RowGradients(ids, grad.contiguous(), factors=factors))
        return anchor, None, None, None, None
