"""How a PyTorch kernel refuses an argument: in the words and with the error of the extension."""

from __future__ import annotations

from torch import Tensor


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
