"""What the row-wise optimisers share: parameters as rows, gradients as they come, state that grows with its table."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._compile import _disable_dynamo
from torch.optim.optimizer import Optimizer, ParamsT

from pyembed.reference import RowGradients, arithmetic_dtype


class StateTensor(NamedTuple):
    """A tensor that an optimiser keeps for a parameter."""

    elementwise: bool
    """Of the parameter's shape; else one number a row."""
    dtype: torch.dtype | None = None
    """None: the type that is computed with for the parameter."""


ELEMENTWISE = StateTensor(True)
ROWWISE = StateTensor(False)

_LACKING = ("amsgrad", "dampening", "lr_decay", "maximize")
"""Options of torch.optim's optimisers that change what a step does, and are none here."""


class RowOptimizer(Optimizer):
    """An optimiser of torch.optim's kind, whose rule treats each row of a parameter on its own: reference.py, 10.

    A sparse gradient (that of an embedding with sparse=True) changes the rows that it has; it is taken as it is, and
    need not be coalesced. A dense gradient changes every row; there the rule is that of torch.optim's optimiser of the
    same name. Parameters may have any number of dimensions: the first counts rows, and what has one is one row.

    Options that all share, of which each group of parameters may have its own:

        lr            at least 0, a float or a tensor of one element; any scheduler of torch.optim may change it
        weight_decay  at least 0
        clip_norm     above 0: the largest norm of a row's gradient; longer ones are scaled down to it
        warmup        steps, at least 0: at step t, lr is multiplied by min(1, t / warmup), on top of any scheduler
        seed          at least 0: what elements of bfloat16 parameters are rounded with, stochastically

    The state of a parameter has torch.optim's names, and is float32 for parameters of 16 bits. It grows with its
    parameter: where that has gained rows at its end, they begin as rows do that were never touched.
    """

    rows_at_rest: Callable[[Tensor], Tensor | None] | None = None
    """Set where the optimiser is fused: which rows of a parameter, bool[V], stay as they are."""

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor,
        weight_decay: float,
        clip_norm: float,
        warmup: int,
        seed: int,
        **own: Any,
    ) -> None:
        options = {"lr": lr, "weight_decay": weight_decay, "clip_norm": clip_norm, "warmup": warmup, "seed": seed}
        super().__init__(params, options | own)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As torch.optim.Optimizer's.

        Raises:
            ValueError: an option of the group is out of range.
        """
        super().add_param_group(param_group)
        try:
            self._check(self.param_groups[-1])
        except ValueError:
            del self.param_groups[-1]
            raise

    def _check(self, group: dict[str, Any]) -> None:
        for name in ("lr", "weight_decay", "warmup", "seed"):
            require(group, name, "at least 0", group[name] >= 0)
        require(group, "clip_norm", "above 0", group["clip_norm"] > 0)

    @_disable_dynamo  # as compiled code it would be compiled anew for each number of steps
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of every parameter that has a gradient.

        Args:
            closure: evaluates the loss anew, with gradients, and returns it.

        Raises:
            RuntimeError: a gradient or a parameter is not what the update takes; see pyembed.ops.update_rows_sgd_.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self.update(parameter, parameter.grad, group)
        return loss

    def update(self, parameter: Tensor, gradient: Tensor | RowGradients, group: dict[str, Any]) -> None:
        """One step of a parameter of this group, under no_grad.

        gradient: of the parameter's shape, sparse or dense; or of rows of it, where it is [V, D].
        """
        if parameter.numel() == 0:
            return
        table = as_rows(parameter.detach())
        if isinstance(gradient, Tensor):
            gradient = _gradient_of_rows(gradient, table)
        if group["clip_norm"] < math.inf:
            gradient = gradient._replace(clip_norm=group["clip_norm"])
        state = self.state[parameter]
        step = state["step"] = int(state.get("step", 0))
        tensors = [self._fit(name, kind, state, table, parameter, group) for name, kind in self._kept(group).items()]
        lr = float(group["lr"])
        if step < group["warmup"]:
            lr *= (step + 1) / group["warmup"]
        self._update_rows(table, tensors, gradient, group, state, lr)
        state["step"] = step + 1
        write_back(parameter, table)

    @abstractmethod
    def _kept(self, group: dict[str, Any]) -> Mapping[str, StateTensor]:
        """The tensors of a parameter's state, by name, as _update_rows takes them."""

    def _first_value(self, name: str, state: dict[str, Any], group: dict[str, Any]) -> float:  # noqa: ARG002
        """What the state of a row that was never touched is, at the end of the last step."""
        return 0.0

    @abstractmethod
    def _update_rows(
        self,
        table: Tensor,
        tensors: list[Tensor],
        gradient: RowGradients,
        group: dict[str, Any],
        state: dict[str, Any],
        lr: float,
    ) -> None:
        """Changes table, [V, D], and its state by step number state["step"] + 1, at this rate."""

    def _fit(
        self,
        name: str,
        kind: StateTensor,
        state: dict[str, Any],
        table: Tensor,
        parameter: Tensor,
        group: dict[str, Any],
    ) -> Tensor:
        """The tensor of this name, of the kind and on the device that the parameter asks for now."""
        shape = parameter.shape if kind.elementwise else table.shape[:1]
        dtype = kind.dtype or arithmetic_dtype(table)
        kept = state.get(name)
        if (
            not isinstance(kept, Tensor)
            or kept.shape != shape
            or kept.dtype != dtype
            or kept.device != table.device
            or not kept.is_contiguous()
        ):
            kept = _resized(name, kept, shape, self._first_value(name, state, group), dtype, table.device)
            state[name] = kept
        return kept.view(table.shape) if kind.elementwise and parameter.dim() != 2 else kept

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch.optim.Optimizer's; but every tensor keeps its type and is copied, whatever its parameter's type.

        The state of torch.optim's optimiser of the same name is taken, too: each row then counts as touched just now.

        Raises:
            ValueError: it was saved by an optimiser of torch.optim that has an option set which this one lacks.
        """
        loaded: dict[str, Any] = {}

        def look(_optimizer: Optimizer, given: dict[str, Any]) -> None:
            for group in given["param_groups"]:
                for name in _LACKING:
                    require(group, name, "no such option, or none that is set", not group.get(name))
            loaded.update(given)

        # The last hook sees what all others have made of the dictionary.
        hook = self.register_load_state_dict_pre_hook(look)
        try:
            super().load_state_dict(state_dict)
        finally:
            hook.remove()
        numbers = (number for group in loaded["param_groups"] for number in group["params"])
        parameters = (parameter for group in self.param_groups for parameter in group["params"])
        for number, parameter in zip(numbers, parameters, strict=True):
            for name, value in loaded["state"].get(number, {}).items():
                kept = value.to(parameter.device, copy=True) if isinstance(value, Tensor) else value
                self.state[parameter][name] = kept

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)


def require(group: dict[str, Any], name: str, expected: str, holds: bool) -> None:
    if not holds:
        raise ValueError(f"{name}: expected {expected}, got {group[name]}")


def as_rows(tensor: Tensor) -> Tensor:
    """[V, D]: its rows, each dense in memory; the tensor's own memory wherever it is laid out so."""
    if tensor.dim() < 2:
        return tensor.contiguous().view(1, -1)
    if tensor.dim() == 2 and tensor.stride(1) == 1:
        return tensor
    return tensor.contiguous().flatten().view(len(tensor), -1)  # one column has a stride of 1, too, then


def write_back(parameter: Tensor, table: Tensor) -> None:
    """After the table that as_rows made of it has changed: the parameter has, too."""
    if table.data_ptr() != parameter.data_ptr():
        parameter.copy_(table.view(parameter.shape))


def _gradient_of_rows(gradient: Tensor, table: Tensor) -> RowGradients:
    if not gradient.is_sparse:
        return RowGradients(torch.arange(table.shape[0], device=table.device), as_rows(gradient).contiguous())
    if gradient.sparse_dim() != 1 or gradient.shape != table.shape:
        raise RuntimeError(
            f"gradient: expected a sparse one of shape {list(table.shape)} with one sparse dimension, "
            f"got shape {list(gradient.shape)} with {gradient.sparse_dim()}"
        )
    return RowGradients(gradient._indices()[0], gradient._values().contiguous())


def _resized(name: str, kept: Any, shape: torch.Size, value: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor of this shape: what is kept, and this value in further rows."""
    if not isinstance(kept, Tensor):
        return torch.full(shape, value, dtype=dtype, device=device)
    if kept.shape[1:] != shape[1:] or kept.dim() != len(shape) or len(kept) > shape[0]:
        raise ValueError(
            f"{name}: expected the state of a parameter of shape {list(shape)}, or of fewer rows, got "
            f"{list(kept.shape)}; load the state that was saved with this model"
        )
    more = torch.full((shape[0] - len(kept), *shape[1:]), value, dtype=dtype, device=device)
    return torch.cat([kept.to(device, dtype), more])
