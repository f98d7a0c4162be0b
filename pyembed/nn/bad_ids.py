"""Ids that are no row of the table: found, and named in the error, whatever the device."""

from __future__ import annotations

import torch
from torch import Tensor

from pyembed.nn.eager import is_eager


class BadIdError(IndexError, RuntimeError):
    """An id is no row of the table: what torch.nn.Embedding and torch.nn.EmbeddingBag raise for it, either of them."""


def bad_id_error(ids: Tensor, rows: int, name: str = "input") -> BadIdError | None:
    """What is to be raised about the first of these that is not 0 to rows - 1.

    None where there is no such, and where nobody can know: under a compiler or a transform, of ids without numbers,
    of numbers that are no ids.
    """
    if not is_eager(ids) or ids.is_meta or ids.is_nested or ids.dtype not in (torch.int32, torch.int64):
        return None
    bad = (ids < 0) | (ids >= rows)
    if not bad.any():
        return None
    place = tuple(bad.nonzero()[0].tolist())
    where = f"{name}[{', '.join(map(str, place))}]" if place else name
    # torch's own words come first: people search for them, and programs match them.
    return BadIdError(
        f"index out of range in self: {where}: expected an id of 0 to {rows - 1}, as the table has {rows} rows, "
        f"found {int(ids[place])}; map unknown items to a row of their own, or add rows with grow()"
    )


def require_ids(ids: Tensor, rows: int) -> None:
    """Asks before the kernel runs, for devices whose kernels do not ask: they would end the process' work there.

    Waits for the device, except while a CUDA graph is captured, when nothing may.

    Raises:
        BadIdError: an id is not 0 to rows - 1.
    """
    if ids.is_cuda and torch.cuda.is_current_stream_capturing():
        return
    error = bad_id_error(ids, rows)
    if error is not None:
        raise error
