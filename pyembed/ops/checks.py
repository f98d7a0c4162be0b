"""How a PyTorch kernel refuses an argument: in the words and with the error of the extension."""

from __future__ import annotations


def require(condition: bool, message: str) -> None:
    """Raises RuntimeError with the message where the condition does not hold."""
    if not condition:
        raise RuntimeError("pyembed: " + message)
