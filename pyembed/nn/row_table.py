"""What both modules can do with the rows of their table: freeze some, add some."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from pyembed.nn import frozen_rows
from pyembed.nn.bad_ids import bad_id_error

if TYPE_CHECKING:
    from pyembed.nn.delivery import Receiver

_FROZEN = "_frozen_rows"


class RowTable(torch.nn.Module):
    """A module whose weight is a table of num_embeddings rows."""

    num_embeddings: int
    embedding_dim: int
    padding_idx: int | None
    max_norm: float | None
    norm_type: float
    weight: Tensor

    receiver: Receiver | None = None
    """Takes the gradients of looked-up rows, in place of weight.grad; pyembed.optim.fuse sets it."""

    # --- frozen rows --------------------------------------------------------------------------------------------------

    @property
    def frozen_rows(self) -> Tensor | None:
        """bool[V]: the rows that freeze_rows was given; None where there are none."""
        return self._buffers.get(_FROZEN)

    def freeze_rows(self, ids: Tensor | Sequence[int] | range) -> None:
        """These rows get no gradient from now on, and no optimiser changes a bit of them; max_norm does not, either.

        The state dict says nothing of it, so that its only key remains that of torch.nn's module; a copy and a pickle
        of the module remember it.

        Args:
            ids: int32 or int64 of any shape, 0 to V - 1, or a sequence of int.

        Raises:
            IndexError: an id is no row of the table.
            TypeError: ids are of another type, a mask for instance.
        """
        frozen = self.frozen_rows
        mask = self._mask() if frozen is None else frozen.clone()
        mask[self._ids(ids)] = True
        self.register_buffer(_FROZEN, mask, persistent=False)
        frozen_rows.watch(self)

    def unfreeze_rows(self, ids: Tensor | Sequence[int] | range | None = None) -> None:
        """Takes freeze_rows back, for these rows or for all.

        Raises:
            IndexError: an id is no row of the table.
            TypeError: ids are of another type, a mask for instance.
        """
        frozen = self.frozen_rows
        if frozen is None:
            return
        mask = self._mask() if ids is None else frozen.clone()
        if ids is not None:
            mask[self._ids(ids)] = False
        self.register_buffer(_FROZEN, mask if mask.any() else None, persistent=False)

    def rows_at_rest(self) -> Tensor | None:
        """bool[V]: the rows that a fused optimiser passes over, frozen ones and padding_idx; None: it changes all."""
        frozen, padding = self.frozen_rows, self.padding_idx
        if padding is None:
            return frozen
        mask = self._mask() if frozen is None else frozen.clone()
        mask[padding] = True
        return mask

    def frozen_parameters(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The parameters that have a row for each of the table's, and the ids, int64[n], of their frozen rows.

        Where weight is computed, by a parametrisation or by pruning, these are the ones that it is computed from.
        """
        frozen = self.frozen_rows
        if frozen is None:
            return
        ids = frozen.nonzero()[:, 0]
        for parameter in self.parameters():
            if parameter.shape[:1] == frozen.shape:
                yield parameter, ids.to(parameter.device)

    def _mask(self) -> Tensor:
        return torch.zeros(self.num_embeddings, dtype=torch.bool, device=self.weight.device)

    def _ids(self, ids: Tensor | Sequence[int] | range) -> Tensor:
        given = torch.as_tensor(ids, device=self.weight.device)
        if given.numel() and given.dtype not in (torch.int32, torch.int64):
            raise TypeError(
                f"ids: expected int32 or int64, found {given.dtype}; the ids of a mask are mask.nonzero()[:, 0]"
            )
        places = given.long()
        error = bad_id_error(places, self.num_embeddings, "ids")
        if error is not None:
            raise error
        return places

    # --- max_norm -----------------------------------------------------------------------------------------------------

    def _renormalise(self, weight: Tensor, ids: Tensor) -> None:
        """Gives the looked-up rows that are not frozen a norm of at most max_norm, in place. ids: of any shape."""
        if self.max_norm is None:
            return
        table, frozen = weight.detach(), self.frozen_rows
        if frozen is None:
            torch.embedding_renorm_(table, ids.contiguous(), self.max_norm, self.norm_type)
            return
        # By shapes that do not depend on which rows are frozen: a compiler can follow that.
        before = table[ids]
        torch.embedding_renorm_(table, ids.contiguous(), self.max_norm, self.norm_type)
        table[ids] = torch.where(frozen[ids].unsqueeze(-1), before, table[ids])

    # --- more rows ----------------------------------------------------------------------------------------------------

    def grow(self, n: int, optimizers: Iterable[Optimizer] = (), *, rows: Tensor | None = None) -> range:
        """Adds n rows at the end of the table, in place: weight remains the same parameter.

        New rows are drawn from a standard normal distribution, as reset_parameters draws them, unless they are given.
        Optimisers of pyembed take notice by themselves, and may be told. Grow between steps, not between a forward
        pass and its backward pass. The table no longer shares memory with a tensor that it was made from.

        Args:
            n: at least 0.
            optimizers: torch.optim's: those that have a state for weight. It grows by rows as if they were new.
            rows: [n, D], the new rows.

        Returns:
            The ids of the new rows.

        Raises:
            ValueError: n is negative, rows has another shape, or weight is computed by a parametrisation or by pruning.
        """
        weight = self._parameters.get("weight")
        if weight is None:
            raise ValueError(
                "grow: expected weight to be a parameter of this module, found that it is computed from others; "
                "remove the parametrisation or the pruning first"
            )
        V, D = weight.shape
        if n < 0 or (rows is not None and rows.shape != (n, D)):
            found = f"n = {n}" if rows is None else f"n = {n} and rows of shape {list(rows.shape)}"
            raise ValueError(f"grow: expected n of at least 0 and rows of shape [n, {D}], found {found}")
        new = torch.nn.init.normal_(weight.detach().new_empty(n, D)) if rows is None else rows.detach()
        grad = weight.grad
        weight.grad = None
        _replace_data(weight, torch.cat([weight.detach(), new.to(weight)]))
        weight.grad = None if grad is None else _with_rows(grad, n)
        self.num_embeddings = V + n
        if self.frozen_rows is not None:
            self.register_buffer(_FROZEN, _with_rows(self.frozen_rows, n), persistent=False)
        for optimizer in optimizers:
            _grow_state(optimizer, weight, V, n)
        return range(V, V + n)

    # --- copies -------------------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """A deep copy is not fused: the optimiser stays with the original."""
        state = self.__dict__.copy()
        state["_weight_was_fused"] = state.pop("receiver", None) is not None
        return state

    def __copy__(self) -> RowTable:
        """What shares the weight shares the optimiser that is fused to it."""
        replica = type(self).__new__(type(self))
        replica.__dict__ = self.__dict__.copy()
        if self.frozen_rows is not None:
            frozen_rows.watch(replica)
        return replica

    def __deepcopy__(self, memo: dict[int, Any]) -> RowTable:
        """As __getstate__ and __setstate__ say, for a parametrised module, too, whose class has its own of these."""
        replica = type(self).__new__(type(self))
        memo[id(self)] = replica
        RowTable.__setstate__(replica, deepcopy(RowTable.__getstate__(self), memo))
        return replica

    def __prepare_scriptable__(self) -> torch.nn.Module:
        """What torch.jit.script compiles: torch's module, which knows no frozen rows and no receiver.

        Not where a subclass looks up in its own way.
        """
        if not next(kind for kind in type(self).__mro__ if "forward" in vars(kind)).__module__.startswith("pyembed."):
            return self
        torch_class = next(kind for kind in type(self).__mro__ if kind.__module__.startswith("torch."))
        module: torch.nn.Module = object.__new__(torch_class)
        module.__dict__ = self.__dict__ | {"_buffers": {}}
        module.__dict__.pop("receiver", None)
        return module

    def __setstate__(self, state: dict[str, Any]) -> None:
        fused = state.pop("_weight_was_fused", False)
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        if fused:
            self.weight.requires_grad_(True)
        if self.frozen_rows is not None:
            frozen_rows.watch(self)


def _replace_data(parameter: Tensor, data: Tensor) -> None:
    """Gives a parameter data of another shape.

    By way of another type: only then does PyTorch forget the node that accumulates gradients of the old shape.
    """
    parameter.data = data.new_empty(0, dtype=torch.float32 if data.dtype == torch.float64 else torch.float64)
    parameter.data = data


def _with_rows(tensor: Tensor, n: int, value: float = 0) -> Tensor:
    """The tensor, dense or sparse, and n further rows of this value; sparse ones are 0."""
    if tensor.is_sparse:
        size = (tensor.shape[0] + n, *tensor.shape[1:])
        return torch.sparse_coo_tensor(
            tensor._indices(), tensor._values(), size, is_coalesced=tensor.is_coalesced(), check_invariants=False
        )
    return torch.cat([tensor, tensor.new_full((n, *tensor.shape[1:]), value)])


_FIRST_VALUES = {
    "sum": "initial_accumulator_value",  # Adagrad's
    "step_size": "lr",  # Rprop's
    "last_step": "step",  # pyembed.optim's, as the next one
    "last_log_decay": "log_decay",
}
"""States that do not begin at 0, and the option or state that says where they begin."""


def _grow_state(optimizer: Optimizer, weight: Tensor, V: int, n: int) -> None:
    """What the optimiser remembers of each of the V rows, it remembers of n more."""
    for group in optimizer.param_groups:
        if any(parameter is weight for parameter in group["params"]):
            state = optimizer.state.get(weight, {})
            known = {**group, **state}
            for name, value in state.items():
                if isinstance(value, Tensor) and value.shape[:1] == (V,):
                    state[name] = _with_rows(value, n, float(known.get(_FIRST_VALUES.get(name, ""), 0)))
