"""The op that hands a gradient to a Python object in the middle of a backward pass, opaque to compilers.

To torch.compile it is a function of its arguments. Three things keep it from treating it as one that it may leave out,
do twice or do once for two: the gradient that it returns is one that the compiled backward has to return; the tag says
that its result is another one each time; and two calls have two tickets.
"""

from __future__ import annotations

from itertools import count
from typing import Protocol
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from pyembed.reference import RowGradients


class Recipient(Protocol):
    """Who takes gradients."""

    def accept(self, gradient: RowGradients) -> None:
        """Called from within a backward pass."""


_addresses = count(1)
_recipients: WeakValueDictionary[int, Recipient] = WeakValueDictionary()


def new_address(recipient: Recipient) -> int:
    """A number that stands for the recipient in a compiled program, for as long as the recipient lives."""
    address = next(_addresses)
    _recipients[address] = recipient
    return address


def deliver(address: int, gradient: RowGradients) -> None:
    """Hands the gradient to the recipient at once.

    Raises:
        RuntimeError: the recipient is no more.
    """
    recipient = _recipients.get(address)
    if recipient is None:
        raise RuntimeError(
            "expected the fused table that was looked up to be there still when its gradient comes, found it gone "
            "or unfused; keep it until backward() is through"
        )
    recipient.accept(gradient)


def deliver_when_run(address: int, gradient: RowGradients) -> Tensor:
    """As deliver, in a program that is being compiled: when it runs. Returns zero, float32[1], on the CPU."""
    ticket = torch.empty(1, device="cpu")  # two identical calls stay two: no compiler takes two empty ones for one
    ids, grad, bags, factors, *_ = gradient
    zero: Tensor = torch.ops.pyembed.deliver_rows(ticket, ids, grad, bags, factors, address)
    return zero


def _deliver_rows(
    _ticket: Tensor, ids: Tensor, grad: Tensor, bags: Tensor | None, factors: Tensor | None, address: int
) -> Tensor:
    deliver(address, RowGradients(ids, grad, bags, factors))
    return torch.zeros(1)


def _fake_deliver_rows(ticket: Tensor, *_rest: object) -> Tensor:
    return torch.empty_like(ticket)


_TAGS = (torch.Tag.pt2_compliant_tag, torch.Tag.nondeterministic_seeded, torch.Tag.cudagraph_unsafe)
_library = torch.library.Library("pyembed", "FRAGMENT")
_library.define(
    "deliver_rows(Tensor ticket, Tensor ids, Tensor grad, Tensor? bags, Tensor? factors, int address) -> Tensor",
    tags=_TAGS,
)
_library.impl("deliver_rows", _deliver_rows, "CompositeExplicitAutograd")
torch.library.register_fake("pyembed::deliver_rows", _fake_deliver_rows)
