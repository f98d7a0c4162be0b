"""What all tests share: the two backends; property tests without a deadline, since numba compiles when first called."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from pyembed.config import Backend

# Before torch is imported: tables of tests are so small that threads of PyTorch would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("pyembed", deadline=None)
settings.load_profile("pyembed")


@pytest.fixture(params=["native", "torch"], scope="session")
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend in turn; the compiled one is skipped where it is not built."""
    from pyembed import ops  # not at the head: tests that do without torch stay quick

    if request.param == "native" and not ops.status().native:
        pytest.skip(f"the compiled kernels are missing: {ops.status().reason}")
    chosen: Backend = request.param
    return chosen
