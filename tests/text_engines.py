"""Runs a module's tests over both counting engines: import the fixture and set `pytestmark = USES_BOTH_ENGINES`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyembed import compiled_text
from pyembed.corpus import engine, python_engine

USES_BOTH_ENGINES = pytest.mark.usefixtures("text_engine")


@pytest.fixture(params=["native", "python"], scope="module")
def text_engine(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param == "native" and compiled_text.NATIVE_ERROR is not None:
        pytest.skip(f"the compiled engine is missing: {compiled_text.NATIVE_ERROR}")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "python":
            patch.setattr(engine, "open_engine", python_engine.Ingest)
        yield
