"""An optimiser fused into the backward pass of one table."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from threading import RLock
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.amp import GradScaler
from torch.distributed import ProcessGroup

from pyembed.nn.delivery import Receiver
from pyembed.nn.row_table import RowTable
from pyembed.optim.gradients import all_finite, gathered, joined
from pyembed.optim.row_optimizer import RowOptimizer
from pyembed.reference import RowGradients

AnyRowOptimizer = TypeVar("AnyRowOptimizer", bound=RowOptimizer)


def fuse(
    module: RowTable,
    optimizer_class: type[AnyRowOptimizer],
    *,
    accumulate: int = 1,
    grad_scaler: GradScaler | None = None,
    process_group: ProcessGroup | str | None = "default",
    **options: Any,
) -> AnyRowOptimizer:
    """From now on loss.backward() updates the rows of the table that were looked up, in place, and nothing else of it.

    No gradient of the table's shape exists at any time. Rows move when the backward pass is through; all lookups of
    one pass make one step. The table's weight no longer requires a gradient, so that other optimisers, clipping of
    gradients and DistributedDataParallel leave it alone; nor does it get one where it is used without a lookup, as
    the weight of an output layer that is tied to it. Frozen rows and padding_idx stay as they are.

    torch.autograd.grad, and backward(inputs=...) of other tensors, update nothing. create_graph=True, transforms of
    torch.func and compiled autograd are refused. The backward pass of a torch.compile'd model is one program: whatever
    gradient it is asked for, with create_graph or without, it updates the table. A backward pass within another
    (torch.utils.checkpoint with use_reentrant=True) counts as a pass of its own; passes that run in several threads
    make their steps one after the other.

    A table that two modules share, of the same padding_idx, is fused once, and the other module is given the receiver
    of the first: other.receiver = module.receiver. A deep copy or a pickle of the module is not fused.

    Where the module is given another weight (load_state_dict with assign=True), the optimiser goes on with that one.

    Several processes (torch.distributed is initialised): the gradients of all are gathered and every process applies
    their mean, as DistributedDataParallel would, so that tables that were equal remain equal to the bit. Every process
    then has to look something up in the table, be it no id at all, in each pass.

    Args:
        module: a pyembed.nn.Embedding or EmbeddingBag.
        optimizer_class: pyembed.optim's SGD, Adagrad, RowwiseAdagrad or AdamW.
        accumulate: at least 1: this many backward passes make one step, of the sum of their gradients, as without
            zero_grad between them. Until then the gradients of their rows are kept. step() of the optimiser makes the
            step at once, of what is kept.
        grad_scaler: the scaler that loss was scaled by. A gradient that is not finite skips the step, and the next
            update() of the scaler hears of it. step(optimizer) of the scaler need not be called, and may be.
        process_group: whose processes share the table. None: each keeps its own.
        options: those of optimizer_class.

    Returns:
        The optimiser. It steps by itself: step() and zero_grad() may be called, as a training loop does with all its
        optimisers, and have nothing to do. It is for schedulers, state_dict() and catch_up().

    Raises:
        TypeError: module or optimizer_class is none of these.
        ValueError: the module is fused already, its weight is computed from others or requires no gradient, or an
            option is out of range.
    """
    if not isinstance(module, RowTable):
        raise TypeError(f"module: expected a pyembed.nn.Embedding or EmbeddingBag, got {type(module).__qualname__}")
    if not issubclass(optimizer_class, RowOptimizer):
        raise TypeError(f"optimizer_class: expected one of pyembed.optim, got {optimizer_class.__qualname__}")
    if module.receiver is not None:
        raise ValueError("module: expected one that is not fused, found an optimiser fused to it; unfuse(module) first")
    weight = module._parameters.get("weight")
    if weight is None:
        raise ValueError(
            "module: expected weight to be a parameter, found that it is computed from others; "
            "remove the parametrisation or the pruning first"
        )
    if not weight.requires_grad:
        raise ValueError(
            "module: expected weight to require a gradient, found that it does not; from_pretrained freezes it: "
            "weight.requires_grad_(True) first; where another module is fused to it: set receiver to that module's"
        )
    if accumulate < 1:
        raise ValueError(f"accumulate: expected at least 1, got {accumulate}")
    optimizer = optimizer_class([weight], **options)
    receiver = FusedUpdate(module, optimizer, accumulate, grad_scaler, process_group)
    weight.requires_grad_(False)
    weight.grad = None
    module.receiver = receiver
    return optimizer


def unfuse(module: RowTable) -> None:
    """Takes fuse back: weight requires a gradient again, and the optimiser is one like any other, with its state.

    Gradients that accumulate keeps are dropped. Of a module that is not fused it does nothing.
    """
    if isinstance(module.receiver, FusedUpdate):
        module.receiver.release()
        module.receiver = None
        module.weight.requires_grad_(True)


class FusedUpdate(Receiver):
    """Makes the steps of a fused optimiser. It lives as long as its module, which it knows by a weak reference."""

    def __init__(
        self,
        module: RowTable,
        optimizer: RowOptimizer,
        accumulate: int,
        grad_scaler: GradScaler | None,
        process_group: ProcessGroup | str | None,
    ) -> None:
        super().__init__()
        self._module: Callable[[], RowTable | None] = weakref.ref(module)
        self._lock = RLock()
        self._optimizer = optimizer
        self._accumulate = accumulate
        self._scaler = grad_scaler
        self._group = process_group
        self._kept: list[RowGradients] = []
        self._passes = 0
        self._resting: Tensor | None = None
        self._resting_for: tuple[Tensor | None, list[Any]] | None = None
        apply = weakref.WeakMethod(self.apply)
        self._hook = optimizer.register_step_pre_hook(lambda *_: None if (now := apply()) is None else now())
        at_rest = weakref.WeakMethod(self.at_rest)
        optimizer.rows_at_rest = lambda parameter: None if (now := at_rest()) is None else now(parameter)
        if grad_scaler is not None:
            # GradScaler.step() then looks for no gradient in it.
            optimizer._step_supports_amp_scaling = True  # type: ignore[attr-defined]
            self._probe = torch.optim.SGD([self.anchor], lr=0.0)

    def release(self) -> None:
        """Makes the optimiser one like any other."""
        self._module = lambda: None
        self._hook.remove()
        del self._optimizer.rows_at_rest
        if self._scaler is not None:
            del self._optimizer._step_supports_amp_scaling  # type: ignore[attr-defined]

    def receive(self, gradients: list[RowGradients]) -> None:
        if self._module() is None:
            raise RuntimeError(
                "expected the module that was fused to be there still, as another one looks up with its receiver, "
                "found it gone or unfused; keep it, or set the other's receiver to None"
            )
        with self._lock:
            self._kept += gradients
            self._passes += 1
            if self._passes >= self._accumulate:
                self.apply()

    def apply(self) -> None:
        """One step of all gradients that are kept, if there are any."""
        module = self._module()
        with self._lock:
            kept, self._kept, self._passes = self._kept, [], 0
            if kept and module is not None:
                self._step(module, kept)

    def at_rest(self, parameter: Tensor) -> Tensor | None:
        """bool[V]: the rows of the parameter that stay as they are, if it is the module's weight and has some."""
        module = self._module()
        return None if module is None or parameter is not module.weight else self._rows_at_rest(module)

    def _step(self, module: RowTable, kept: list[RowGradients]) -> None:
        weight = self._followed(module)
        gradient = gathered(joined(kept), self._group)._replace(frozen=self._rows_at_rest(module))
        if self._scaler is not None and self._scaler.is_enabled():
            finite = all_finite(gradient)
            gradient = gradient._replace(scale=gradient.scale / self._scaler.get_scale())
            self._tell(self._scaler, finite)
            if not finite:
                return
        self._optimizer.update(weight, gradient, self._optimizer.param_groups[0])
        self._optimizer._opt_called = True  # type: ignore[attr-defined]  # schedulers ask

    def _followed(self, module: RowTable) -> Tensor:
        """The module's weight; the optimiser goes on with it where it is another than before."""
        weight = module._parameters.get("weight")
        if weight is None:
            raise RuntimeError(
                "expected the weight of a fused module to be a parameter still, found that it is computed from others; "
                "unfuse(module) before it is parametrised or pruned"
            )
        parameters, state = self._optimizer.param_groups[0]["params"], self._optimizer.state
        before = parameters[0]
        if before is not weight:
            weight.requires_grad_(False)
            parameters[0] = weight
            if before in state:
                state[weight] = state.pop(before)
        return weight

    def _tell(self, scaler: GradScaler, finite: bool) -> None:
        """The way to tell a scaler: a parameter of some optimiser has such a gradient.

        It hears of an optimiser once between two updates; so what it heard of earlier passes is told again.
        """
        told = scaler._per_optimizer_states.pop(id(self._probe), None)
        earlier = () if told is None else told["found_inf_per_device"].values()
        self.anchor.grad = torch.full_like(self.anchor, 0.0 if finite and not any(earlier) else float("inf"))
        scaler.unscale_(self._probe)

    def _rows_at_rest(self, module: RowTable) -> Tensor | None:
        """The module's, without making anew at each step a mask as long as the table."""
        if module.frozen_rows is None and module.padding_idx is None:
            return None
        frozen, *origin = module.frozen_rows, module.padding_idx, module.weight.shape[0], module.weight.device
        if self._resting_for is None or self._resting_for[0] is not frozen or self._resting_for[1] != origin:
            self._resting_for, self._resting = (frozen, origin), module.rows_at_rest()
        return self._resting
