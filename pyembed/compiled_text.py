"""The door to the compiled extension `pyembed._text`, for every room that has a part in it and a slower twin."""

from __future__ import annotations

from typing import Any

try:
    import pyembed._text as _compiled
except ImportError as error:
    native: Any = None
    """The compiled module, or None."""
    NATIVE_ERROR: str | None = str(error)
    """Why nothing compiled is in use; None where it is."""
else:
    native = _compiled
    NATIVE_ERROR = None
