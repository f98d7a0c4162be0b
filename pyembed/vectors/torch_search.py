"""Exact search through PyTorch, on a GPU for example."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyembed.vectors.arrays import Float32Array, Int64Array
from pyembed.vectors.numpy_search import ScoredSearch
from pyembed.vectors.queries import Excluded, Queries
from pyembed.vectors.rows import SHORTEST, Rows


class TorchSearch(ScoredSearch):
    """By PyTorch's products of float32 matrices on a device.

    The rows' copy there, at length 1, is kept for the next search while nobody can change the rows unseen.
    """

    def __init__(self, device: str) -> None:
        """Raises ValueError where PyTorch has no such device here."""
        try:
            self.device = torch.empty(0, device=device).device
        except (RuntimeError, AssertionError) as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(f"device: expected one that PyTorch has here, found {device!r}: {reason}") from error
        self._kept: tuple[object, Tensor] | None = None
        """The rows' stamp and their copy: one attribute, so that other threads see both or none."""

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: without the rows."""
        return {**self.__dict__, "_kept": None}

    def scores(self, rows: Rows, queries: Queries) -> Float32Array:
        scores: Float32Array = self._scores(rows, queries).cpu().numpy()
        return scores

    def _scores(self, rows: Rows, queries: Queries) -> Tensor:
        units = self._units(rows)
        scores: Tensor = queries.combine([torch.from_numpy(term).to(self.device) @ units.T for term in queries.terms])
        return scores

    def _units(self, rows: Rows) -> Tensor:
        """The rows at length 1, float32[V, D], NaN for those that hold NaN or infinity."""
        stamp, kept = rows.stamp(), self._kept
        if stamp is not None and kept is not None and stamp == kept[0]:
            return kept[1]
        kept = self._kept = None
        values = rows.values()
        values = values if values.flags.writeable else values.copy()  # tensors know no read-only memory
        rows_there = torch.from_numpy(values).to(self.device, torch.float32)
        lengths = torch.linalg.vector_norm(rows_there, dim=1, keepdim=True)
        doubtful = ~((lengths > SHORTEST) & lengths.isfinite())[:, 0]
        lengths[doubtful] = torch.linalg.vector_norm(rows_there[doubtful].double(), dim=1, keepdim=True).float()
        lengths[lengths == 0] = 1
        lengths[~lengths.isfinite()] = torch.nan
        units: Tensor = rows_there / lengths
        if stamp is not None:
            self._kept = stamp, units
        return units

    def _counting(self, rows: Rows, queries: Queries, excluded: Excluded) -> Tensor:
        scores = self._scores(rows, queries).nan_to_num_(nan=-torch.inf)
        scores[torch.from_numpy(excluded.queries), torch.from_numpy(excluded.rows)] = -torch.inf
        return scores

    def _candidates(self, scores: Tensor, k: int) -> tuple[Int64Array, Int64Array, Float32Array]:
        last = scores.topk(k, dim=1, sorted=True).values[:, -1:]
        query, row = torch.nonzero((scores >= last) & (scores > -torch.inf), as_tuple=True)
        return query.cpu().numpy(), row.cpu().numpy(), scores[query, row].cpu().numpy()

    def _highest(self, scores: Tensor) -> Float32Array:
        highest: Float32Array = scores.amax(dim=1).cpu().numpy()
        return highest
