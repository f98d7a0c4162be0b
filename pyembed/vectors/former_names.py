"""Names that gensim had once: those it still takes, with a warning, and what is said of the others."""

from __future__ import annotations

import warnings
from typing import Any

from pyembed.vectors.arrays import Float32Array
from pyembed.vectors.editing import Editable
from pyembed.vectors.gensim_names import explain
from pyembed.vectors.lookup import Key


class FormerlyNamed(Editable):
    """Vectors that know their methods by former names, too."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(explain(name))

    def word_vec(self, key: Key, norm: bool = False) -> Float32Array:
        """A former name of `get_vector`."""
        warnings.warn("word_vec: use get_vector", DeprecationWarning, stacklevel=2)
        return self.get_vector(key, norm)

    def words_closer_than(self, word1: Key, word2: Key) -> list[str]:
        """A former name of `closer_than`."""
        warnings.warn("words_closer_than: use closer_than", DeprecationWarning, stacklevel=2)
        return self.closer_than(word1, word2)

    def init_sims(self, replace: bool = False) -> None:
        """A former name of `fill_norms`, and with `replace` of `unit_normalize_all`."""
        warnings.warn("init_sims: use unit_normalize_all, or nothing", DeprecationWarning, stacklevel=2)
        if replace:
            self.unit_normalize_all()
