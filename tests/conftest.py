"""What all tests share: the backends; property tests without a deadline, since numba compiles when first called."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from pyembed.config import Backend

# Before torch is imported: tables of tests are so small that threads of PyTorch would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("pyembed", deadline=None)
settings.load_profile("pyembed")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that take a `backend` run on each, those that take a `compiled` one on each but PyTorch's.

    The CUDA kernels under the shim take part in tests marked `simt`.
    """
    mark = metafunc.definition.get_closest_marker("simt")
    simt = [] if mark is None or mark.args == (False,) else ["simt"]
    for name, backends in (("backend", ["native", "torch"]), ("compiled", ["native"])):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, backends + simt, indirect=True, scope="session")


@pytest.fixture(scope="session")
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend in turn; what is not built is skipped."""
    chosen: Backend = request.param
    if request.param == "simt":
        import simt

        simt.require()
    elif request.param == "native":
        from pyembed import ops  # not at the head: tests that do without torch stay quick

        if not ops.status().native:
            pytest.skip(f"the compiled kernels are missing: {ops.status().reason}")
    return chosen


compiled = backend
"""The same, of compiled kernels."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `gpu` are skipped, never passed, where there is no GPU."""
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skipif(not _has_gpu(), reason="no CUDA device here"))


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
