"""Promises of torch's two modules under compilers and tracers."""

from __future__ import annotations

import copy
import io
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing import assert_close
from twins import IDS, each_module, looked_up, train

from pyembed import nn as pnn


@pytest.fixture(autouse=True)
def forget_compiled_code() -> Iterator[None]:
    """Compiled code is kept by line of source, and only so many variants of it."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


OPTIONS = [{}, {"padding_idx": 1}, {"max_norm": 0.5}, {"sparse": True}, {"scale_grad_by_freq": True}]


@each_module
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_compiled_modules_train_to_the_same_table(Module: Any, options: dict[str, Any]):
    """One graph, by AOTAutograd."""
    if Module is torch.nn.EmbeddingBag and "scale_grad_by_freq" in options:
        pytest.skip("torch's CPU kernel is wrong there; the compiler's is not")
    eager = Module(5, 3, **options)
    compiled = copy.deepcopy(eager)
    graph = torch.compile(compiled, fullgraph=True, backend="aot_eager")
    assert_close(train(graph, compiled.weight), train(eager, eager.weight))
    assert_close(compiled.weight, eager.weight)


@pytest.mark.parametrize("Module", [pnn.Embedding, pnn.EmbeddingBag])
@pytest.mark.skipif(shutil.which("g++") is None, reason="it compiles C++")
def test_inductor_compiles_a_model(Module: Any):
    model = torch.nn.Sequential(Module(5, 3, padding_idx=1), torch.nn.Linear(3, 2))
    twin = copy.deepcopy(model)
    assert_close(train(torch.compile(model, fullgraph=True), *model.parameters()), train(twin, *twin.parameters()))


@each_module
def test_compiled_code_serves_any_number_of_ids(Module: Any):
    module = Module(5, 3)
    graphs = torch._dynamo.testing.CompileCounter()
    compiled = torch.compile(module, fullgraph=True, dynamic=True, backend=graphs)
    for size in (2, 5, 9, 700):
        ids = torch.randint(5, (size, 3))
        assert_close(compiled(ids), module(ids))
    assert graphs.frame_count == 1


@each_module
def test_the_export_of_a_module_says_embedding(Module: Any):
    module = Module(5, 3)
    exported = torch.export.export(module, (IDS,))
    assert_close(exported.module()(IDS), module(IDS))
    assert "torch.ops.aten.embedding" in exported.graph_module.code


@each_module
@pytest.mark.parametrize("how", ["script", "trace"])
def test_torchscript(Module: Any, how: str):
    module = Module(5, 3, padding_idx=1)
    with pytest.warns(DeprecationWarning, match=how):
        compiled = torch.jit.script(module) if how == "script" else torch.jit.trace(module, (IDS,))
    buffer = io.BytesIO()
    torch.jit.save(compiled, buffer)
    buffer.seek(0)
    assert_close(torch.jit.load(buffer)(IDS), module(IDS))


@each_module
def test_symbolic_tracing_and_make_fx(Module: Any):
    module = Module(5, 3)
    graph = torch.fx.symbolic_trace(torch.nn.Sequential(module))
    assert_close(graph(IDS), module(IDS))
    with torch.no_grad():
        traced = make_fx(looked_up(module))(module.weight)
        assert_close(traced(module.weight), module(IDS))


@each_module
def test_fake_tensors_have_the_shape(Module: Any):
    with FakeTensorMode():
        found = Module(5, 3)(torch.zeros(2, 3, dtype=torch.long)).shape
    assert found == Module(5, 3)(IDS).shape
