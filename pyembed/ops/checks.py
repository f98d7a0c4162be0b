"""How a PyTorch kernel refuses an argument: in the words and with the error of the extension."""

from __future__ import annotations

import torch
from torch import Tensor

from pyembed.reference import TokenBlock


def require(condition: bool, message: str) -> None:
    """Raises RuntimeError with the message where the condition does not hold."""
    if not condition:
        raise RuntimeError("pyembed: " + message)


def require_ids(name: str, ids: Tensor, rows: int) -> None:
    """Asks that every id, of any shape, names one of the rows 0 to V - 1 of a table."""
    bad = ((ids < 0) | (ids >= rows)).nonzero()
    if len(bad):
        index = bad[0].tolist()
        where = index[0] if len(index) == 1 else index
        require(False, f"{name}: expected 0 to V - 1 = {rows - 1}, got {int(ids[tuple(index)])} at index {where}")


def check_key(first_position: int, seed: int, epoch: int) -> None:
    """Asks that these are in the range of what draws depend on."""
    require(first_position >= 0, f"first_position: expected >= 0, got {first_position}")
    require(seed >= 0, f"seed: expected 0 to 2^63 - 1, got {seed}")
    require(0 <= epoch < 2**32, f"epoch: expected 0 to 2^32 - 1, got {epoch}")


def checked_block(
    ids: Tensor, sentence_starts: Tensor, rows: int, first_position: int, center_begin: int, center_end: int
) -> TokenBlock:
    """The block of tokens of a vocabulary of so many words that these describe."""
    starts, T = sentence_starts, ids.numel()
    require(ids.dtype == torch.int32 and ids.dim() == 1, "ids: expected int32[T]")
    require(starts.dtype == torch.int64 and starts.dim() == 1, "sentence_starts: expected int64[S + 1]")
    require(
        starts.numel() > 0 and bool(starts[0] == 0) and bool(starts[-1] == T),
        f"sentence_starts: expected to begin with 0 and to end with T = {T}",
    )
    require(bool((starts.diff() >= 0).all()), "sentence_starts: expected to ascend")
    require_ids("ids", ids, rows)
    require(
        0 <= center_begin <= center_end <= T,
        f"centers: expected 0 <= center_begin <= center_end <= {T}, got {center_begin} and {center_end}",
    )
    return TokenBlock(ids, sentence_starts, first_position, center_begin, center_end)
