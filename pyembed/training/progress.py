"""Progress on stderr: how far, how fast, how much longer. Quiet where stderr is not a terminal."""

from __future__ import annotations

import sys
from types import TracebackType

from tqdm import tqdm
from typing_extensions import Self


class _Bar:
    """A bar that is closed at the end of a with block.

    shown: True or False, or None to show it only on a terminal.
    """

    def __init__(self, title: str, unit: str, total: int | None, shown: bool | None) -> None:
        hidden = not sys.stderr.isatty() if shown is None else not shown
        self._bar = tqdm(desc=title, total=total, unit=unit, unit_scale=True, disable=hidden)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()


class ReadingProgress(_Bar):
    """Bytes read from disk."""

    def __init__(self, *, shown: bool | None = None) -> None:
        super().__init__("reading", "B", None, shown)

    def update(self, done: int, total: int | None) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)


class TrainingProgress(_Bar):
    """Words of all epochs, with the loss and the learning rate."""

    def __init__(self, total_words: int, *, shown: bool | None = None) -> None:
        super().__init__("training", " words", total_words, shown)

    def update(self, words: int, epoch: int, loss: float, learning_rate: float) -> None:
        """words: tokens of the corpus done since the last call."""
        self._bar.set_postfix_str(f"epoch {epoch}, loss {loss:.3f}, lr {learning_rate:.4f}", refresh=False)
        self._bar.update(words)
