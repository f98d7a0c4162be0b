"""Promises of torch's two modules under all else that PyTorch does with modules: transforms, copies, wrappers."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap
from torch.nn.utils import parametrizations, parametrize, prune
from torch.testing import assert_close
from twins import IDS, each_module, looked_up, to_dense, train

# --- torch.func and forward mode --------------------------------------------------------------------------------------


@each_module
def test_vmap_over_ids(Module: Any):
    module = Module(5, 3)
    ids = torch.stack([IDS, IDS.flip(0)])
    assert_close(vmap(module)(ids), torch.stack([module(each) for each in ids]))


@each_module
def test_vmap_over_tables(Module: Any):
    """As an ensemble of models is run. Better, for bags: no fallback to a loop, of which torch warns."""
    module, tables = Module(5, 3), torch.randn(4, 5, 3)
    assert_close(vmap(looked_up(module))(tables), torch.stack([looked_up(module)(table) for table in tables]))


@each_module
def test_gradients_of_each_sample(Module: Any):
    module = Module(5, 3)

    def loss(weight: Tensor, ids: Tensor) -> Tensor:
        return looked_up(module, ids[None])(weight).square().sum()

    found = vmap(grad(loss), in_dims=(None, 0))(module.weight.detach(), IDS)
    expected = [torch.autograd.grad(loss(module.weight, ids), module.weight)[0] for ids in IDS]
    assert_close(found, torch.stack(expected))


@each_module
def test_jacobians_by_either_mode_and_the_hessian(Module: Any):
    """Better, for bags: torch has neither forward mode nor second derivatives."""
    module = Module(5, 3, dtype=torch.float64)
    output, table = looked_up(module), module.weight.detach()
    expected = jacrev(output)(table)
    assert_close(expected.sum((-2, -1)).unique(), torch.ones(1, dtype=torch.float64))
    if Module is torch.nn.EmbeddingBag:
        with pytest.raises(NotImplementedError, match="forward AD"):
            jacfwd(output)(table)
        return
    assert_close(jacfwd(output)(table), expected)

    def loss(weight: Tensor) -> Tensor:
        return output(weight).square().sum() / 2

    # A linear function's: the trace is the squared norm of the jacobian.
    assert_close(hessian(loss)(table).flatten(2).flatten(0, 1).trace(), expected.square().sum())


@each_module
def test_jvp_is_the_lookup_of_the_tangent(Module: Any):
    """Better, for bags: torch has none."""
    module, tangent = Module(5, 3), torch.randn(5, 3)
    table = module.weight.detach()
    if Module is torch.nn.EmbeddingBag:
        with pytest.raises(NotImplementedError, match="forward AD"):
            jvp(looked_up(module), (table,), (tangent,))
        return
    value, moved = jvp(looked_up(module), (table,), (tangent,))
    assert_close((value, moved), (looked_up(module)(table), looked_up(module)(tangent)))
    with torch.autograd.forward_ad.dual_level():
        dual = looked_up(module)(torch.autograd.forward_ad.make_dual(table, tangent))
        assert_close(torch.autograd.forward_ad.unpack_dual(dual).tangent, moved)


@each_module
def test_functional_call_takes_another_table(Module: Any):
    module, table = Module(5, 3), torch.randn(5, 3)
    assert_close(looked_up(module)(table), Module(5, 3, _weight=table)(IDS))


# --- copies and wrappers ----------------------------------------------------------------------------------------------


@each_module
@pytest.mark.parametrize("how", ["deepcopy", "pickle", "torch.save"])
def test_copies_are_modules_of_their_own(Module: Any, how: str, tmp_path: Path):
    module = torch.nn.Sequential(Module(5, 3, padding_idx=2))
    if how == "torch.save":
        torch.save(module, tmp_path / "module.pt")
        copied = torch.load(tmp_path / "module.pt", weights_only=False)
    else:
        copied = copy.deepcopy(module) if how == "deepcopy" else pickle.loads(pickle.dumps(module))
    assert (type(copied[0]), repr(copied)) == (Module, repr(module))
    assert_close(copied(IDS), module(IDS))
    before = module[0].weight.detach().clone()
    train(copied, *copied.parameters())
    assert torch.equal(module[0].weight, before)


@each_module
def test_shared_tables_stay_shared(Module: Any):
    head = torch.nn.Linear(3, 5, bias=False)
    model = torch.nn.ModuleDict({"table": Module(5, 3), "head": head})
    head.weight = model["table"].weight
    copied = copy.deepcopy(model)
    assert copied["head"].weight is copied["table"].weight
    copied["head"](copied["table"](IDS)).sum().backward()
    assert copied["table"].weight.grad is not None


@each_module
def test_types_and_devices_of_a_module_can_change(Module: Any):
    module = Module(5, 3)
    assert module.double()(IDS).dtype == torch.float64
    assert module.to(torch.bfloat16)(IDS).dtype == torch.bfloat16
    assert module.to("meta")(IDS.to("meta")).shape == Module(5, 3)(IDS).shape


@each_module
def test_parametrised_tables_train(Module: Any):
    module = parametrizations.weight_norm(Module(5, 3))
    losses = train(module, *module.parameters())
    assert losses[-1] < losses[0]
    assert sorted(module.state_dict()) == ["parametrizations.weight.original0", "parametrizations.weight.original1"]
    found = copy.deepcopy(module)(IDS)
    parametrize.remove_parametrizations(module, "weight")
    assert_close(module(IDS), found)


@each_module
def test_pruned_tables_keep_their_zeros(Module: Any):
    module = Module(5, 3)
    prune.l1_unstructured(module, "weight", 0.5)
    zeros = module.weight == 0
    assert zeros.sum() == 8
    assert sorted(module.state_dict()) == ["weight_mask", "weight_orig"]
    train(module, module.weight_orig)
    module(IDS)
    assert (module.weight[zeros] == 0).all()


class Marked(Tensor):
    """A table of a type of its own, as quantised and distributed ones are."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.nn.functional.embedding, torch.nn.functional.embedding_bag):
            return "mine"
        return super().__torch_function__(func, types, args, kwargs or {})


@each_module
def test_tables_of_other_types_answer_for_themselves(Module: Any):
    module = Module(5, 3)
    module.weight = torch.nn.Parameter(torch.randn(5, 3).as_subclass(Marked))
    assert module(IDS) == "mine"


@each_module
def test_autocast_keeps_the_type_of_the_table(Module: Any):
    with torch.autocast("cpu", torch.bfloat16):
        assert Module(5, 3)(IDS).dtype == torch.float32


@each_module
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_the_gradient_scaler_unscales(Module: Any, sparse: bool):
    module = Module(5, 3, sparse=sparse)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    scaler.scale(module(IDS).sum()).backward()
    scaler.unscale_(optimizer)
    expected = torch.autograd.grad(module(IDS).sum(), module.weight)[0]
    assert_close(to_dense(module.weight.grad), to_dense(expected))
    scaler.step(optimizer)


@each_module
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_look_up_again(Module: Any, reentrant: bool):
    module = torch.nn.Sequential(Module(5, 3))
    scale = torch.ones(1, requires_grad=True)
    output = torch.utils.checkpoint.checkpoint(lambda s: module(IDS) * s, scale, use_reentrant=reentrant)
    output.sum().backward()
    found = module[0].weight.grad.clone()
    module.zero_grad()
    module(IDS).sum().backward()
    assert_close(found, module[0].weight.grad)


@pytest.fixture
def one_process_group() -> Iterator[None]:
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@each_module
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.usefixtures("one_process_group")
def test_distributed_data_parallel_wraps_a_module(Module: Any, sparse: bool):
    module = Module(5, 3, sparse=sparse)
    expected = torch.autograd.grad(module(IDS).square().sum(), module.weight)[0]
    wrapped = torch.nn.parallel.DistributedDataParallel(module)
    wrapped(IDS).square().sum().backward()
    assert_close(to_dense(module.weight.grad), to_dense(expected))


@each_module
def test_hooks_of_modules_and_of_gradients_run(Module: Any):
    module, seen = Module(5, 3), []
    module.register_forward_hook(lambda *_: seen.append("forward"))
    module.register_full_backward_hook(lambda *_: seen.append("backward"))
    module.weight.register_hook(lambda _: seen.append("gradient"))
    module.weight.register_post_accumulate_grad_hook(lambda _: seen.append("accumulated"))
    module(IDS).sum().backward()
    assert sorted(seen) == ["accumulated", "backward", "forward", "gradient"]
