"""Callbacks: what users have called before, between and after the epochs of training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class CallbackAny2Vec:
    """Does nothing at any time; derive from it and override what you need.

    Any other object with some of these methods will do, too. The model is usable in each: its `wv` shows the vectors of
    that moment, `get_latest_training_loss` and `save` work. Training goes on with the vectors, `alpha` and `min_alpha`
    that it sets; other settings wait for the next training. What it raises ends training and reaches the caller.
    """

    def on_train_begin(self, model: Any) -> None:
        """Before the first epoch."""

    def on_epoch_begin(self, model: Any) -> None:
        """Before each epoch."""

    def on_epoch_end(self, model: Any) -> None:
        """After each epoch."""

    def on_train_end(self, model: Any) -> None:
        """After the last epoch, unless training ended early."""


HOOKS = tuple(name for name in vars(CallbackAny2Vec) if name.startswith("on_"))


def require_callbacks(callbacks: Iterable[object]) -> tuple[object, ...]:
    """Raises TypeError where one of them has no method that would ever be called."""
    found = tuple(callbacks)
    for callback in found:
        if not any(hasattr(callback, hook) for hook in HOOKS):
            raise TypeError(f"callbacks: expected objects with any of {', '.join(HOOKS)}, found {callback!r}")
    return found


def call(callbacks: Iterable[object], hook: str, model: object) -> None:
    """Calls those that have such a method, in order."""
    for callback in callbacks:
        if (method := getattr(callback, hook, None)) is not None:
            method(model)
