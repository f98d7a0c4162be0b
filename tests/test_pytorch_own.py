"""PyTorch's own tests of its embedding modules, with ours in their place.

What PyTorch's wheel ships of them runs always: the module tests of torch.testing._internal. Its file of embedding tests
is not in the wheel: name a folder that has it as nn/test_embedding.py, such as the folder "test" of PyTorch's sources,
in the environment variable PYEMBED_PYTORCH_TESTS.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings
from torch.testing import assert_close
from twins import Outcome

from pyembed import nn as pnn

pytest.importorskip("expecttest", reason="torch.testing._internal needs expecttest")
NAMES = ("Embedding", "EmbeddingBag")


@pytest.fixture(autouse=True, scope="module")
def hypothesis_as_before() -> None:
    """PyTorch's tests bring a profile for hypothesis, which is not to reach the tests that come after these."""
    import torch.testing._internal.common_utils  # noqa: F401

    settings.load_profile("pyembed")


@pytest.fixture(autouse=True)
def ours_in_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setattr(torch.nn, name, getattr(pnn, name))


def test_the_module_tests_in_torchs_wheel_pass():
    """Gradients, non-contiguous ids, pickles, prints."""
    from torch.testing._internal.common_nn import NewModuleTest, NNTestCase, get_new_module_tests

    class Case(NNTestCase):
        def _forward(self, module: Any, input: Any) -> Any:
            return module(*input) if isinstance(input, tuple) else module(input)

        def _get_parameters(self, module: Any) -> Any:
            return list(module.parameters()), [parameter.grad for parameter in module.parameters()]

        def _zero_grad_parameters(self, module: Any) -> None:
            for gradient in self._get_parameters(module)[1]:
                if gradient is not None:
                    gradient.detach_().zero_()  # in place: the caller holds it already

        def _backward(self, _module: Any, _input: Any, output: Any, grad_output: Any) -> None:
            output.backward(grad_output, retain_graph=True)

    ran: Counter[str] = Counter()
    for options in get_new_module_tests():
        arguments = dict(options)
        name = arguments.pop("module_name", "") or arguments["fullname"].split("_")[0]
        if name not in NAMES:
            continue
        arguments.setdefault("constructor", getattr(torch.nn, name))
        test = NewModuleTest(**arguments)
        assert isinstance(test.constructor(*test.constructor_args), getattr(pnn, name)), "theirs was tested"
        test(Case())
        ran[name] += 1
    assert ran == {"Embedding": 3, "EmbeddingBag": 8}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_module_inputs_in_torchs_wheel_pass(dtype: torch.dtype):
    """Those that work, and those that must be refused: by which error, in which words."""
    from torch.testing._internal.common_modules import ModuleErrorEnum, module_db

    (info,) = [info for info in module_db if info.module_cls.__name__ == "Embedding"]
    for sample in info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=True, training=True):
        construction, call = sample.constructor_input, sample.forward_input
        module = pnn.Embedding(*construction.args, **construction.kwargs, dtype=dtype)
        assert_close(module(*call.args), module.weight[call.args[0]])
    refused = info.module_error_inputs_func(info, device="cpu", dtype=dtype, requires_grad=False, training=False)
    for error in refused:
        construction, call = (error.module_error_input.constructor_input, error.module_error_input.forward_input)
        with pytest.raises(error.error_type, match=error.error_regex):  # noqa: PT012  # either line may have to raise
            module = pnn.Embedding(*construction.args, **construction.kwargs)
            assert error.error_on is ModuleErrorEnum.FORWARD_ERROR
            module(*call.args)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_the_operator_samples_in_torchs_wheel_pass(name: str, dtype: torch.dtype):
    from torch.testing._internal.common_methods_invocations import op_db

    operator = {"Embedding": "nn.functional.embedding", "EmbeddingBag": "nn.functional.embedding_bag"}[name]
    (info,) = [info for info in op_db if info.name == operator]
    samples = list(info.sample_inputs("cpu", dtype, requires_grad=False))
    for sample in samples:
        options = dict(sample.kwargs)
        call = [sample.args[0], *(options.pop(key) for key in ("offsets", "per_sample_weights") if key in options)]
        if options.get("scale_grad_by_freq") and name == "EmbeddingBag":
            continue  # where ours is right and theirs is not
        modules = [
            kind(*sample.input.shape, _weight=sample.input.clone(), **options)
            for kind in (getattr(torch.nn.modules.sparse, name), getattr(pnn, name))
        ]
        Outcome(modules[0], *call).assert_equals(Outcome(modules[1], *call))
    assert len(samples) > 5


LEFT_OUT = {
    "test_EmbeddingBag_per_sample_weights_failures": "asks that mode 'mean' refuses weights, which ours takes",
}
RUN_THE_FILE = f"""
import runpy, sys, torch
from pyembed import nn as pnn
for name in {NAMES}:
    setattr(torch.nn, name, getattr(pnn, name))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_the_embedding_tests_of_pytorchs_sources_pass():
    folder = os.environ.get("PYEMBED_PYTORCH_TESTS")
    if folder is None:
        pytest.skip("PYEMBED_PYTORCH_TESTS names no folder with nn/test_embedding.py")
    file = Path(folder) / "nn" / "test_embedding.py"
    ran = subprocess.run([sys.executable, "-c", RUN_THE_FILE, str(file)], capture_output=True, text=True, check=False)
    assert re.search(r"^Ran \d{3} tests", ran.stderr, re.MULTILINE), ran.stderr
    failed = re.findall(r"^(?:FAIL|ERROR): (test_\w+?)(?:_cpu\w*)? ", ran.stderr, re.MULTILINE)
    print(*ran.stderr.splitlines()[-3:], Counter(failed))
    assert set(failed) == LEFT_OUT.keys(), ran.stderr
