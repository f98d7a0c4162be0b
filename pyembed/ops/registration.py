"""Schemas, fake kernels and autograd of every op, and its PyTorch kernel as the default for every device."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import torch
from torch import Tensor

from pyembed.ops.extension import LOAD_ERROR
from pyembed.ops.torch_kernels import KERNELS
from pyembed.reference import PER_PAIR

_STREAM = (
    "Tensor ids, Tensor sentence_starts, Tensor alias_table, SymInt first_position, SymInt center_begin,"
    " SymInt center_end, int window, int negative, int sharing, SymInt seed, SymInt epoch,"
    " bool shrink_windows"
)
_TABLES = "Tensor in_vectors, Tensor out_vectors"
_TABLES_IN_PLACE = "Tensor(a!) in_vectors, Tensor(b!) out_vectors"
_PAIRS = "Tensor in_ids, Tensor out_ids"
_NODES_IN_PLACE = "Tensor(a!) in_vectors, Tensor(b!) node_vectors"
_PATH_STREAM = (
    "Tensor ids, Tensor sentence_starts, Tensor path_starts, Tensor path_nodes, Tensor path_bits,"
    " SymInt first_position, SymInt center_begin, SymInt center_end, int window, SymInt seed, SymInt epoch,"
    " bool shrink_windows"
)
_PLAIN_RATE = "float lr_begin, float lr_end, int threads"
_RATE = "float lr_begin, float lr_end, int threads, str write_back, int frequent"
_WEIGHT = "Tensor(a!) weight"
_GIVEN = "Tensor ids, Tensor grad, Tensor? bags, Tensor? factors, Tensor? frozen, float scale, float clip_norm"
_STEP = "SymInt step, SymInt seed"
_ADAGRAD = f"Tensor(b!) sum_of_squares, {_GIVEN}, float lr, float eps, float weight_decay, {_STEP}"

SCHEMAS = {
    "draw_windows": f"({_STREAM}) -> (Tensor, Tensor)",
    "skipgram_step_": f"({_TABLES_IN_PLACE}, {_STREAM}, {_RATE}) -> Tensor",
    "skipgram_loss": f"({_TABLES}, {_STREAM}) -> Tensor",
    "skipgram_loss_backward": f"(Tensor grad, {_TABLES}, {_STREAM}) -> (Tensor, Tensor)",
    "cbow_step_": f"({_TABLES_IN_PLACE}, {_STREAM}, bool mean, bool exact_gradient, {_RATE}) -> Tensor",
    "cbow_loss": f"({_TABLES}, {_STREAM}, bool mean) -> Tensor",
    "cbow_loss_backward": f"(Tensor grad, {_TABLES}, {_STREAM}, bool mean) -> (Tensor, Tensor)",
    "skipgram_batch_step_": f"({_TABLES_IN_PLACE}, {_STREAM}, float negative_weight, bool bfloat16_products,"
    f" {_PLAIN_RATE}) -> Tensor",
    "cbow_batch_step_": f"({_TABLES_IN_PLACE}, {_STREAM}, float negative_weight, bool bfloat16_products, bool mean,"
    f" bool exact_gradient, {_PLAIN_RATE}) -> Tensor",
    "skipgram_hs_step_": f"({_NODES_IN_PLACE}, {_PATH_STREAM}, {_PLAIN_RATE}) -> Tensor",
    "cbow_hs_step_": f"({_NODES_IN_PLACE}, {_PATH_STREAM}, bool mean, bool exact_gradient, {_PLAIN_RATE}) -> Tensor",
    "keep_tokens": "(Tensor ids, Tensor sentence_starts, Tensor keep_threshold, SymInt first_position, SymInt seed,"
    " SymInt epoch) -> (Tensor, Tensor)",
    "draw_negatives": "(Tensor alias_table, SymInt first_position, SymInt count, int negative, SymInt seed,"
    " SymInt epoch) -> Tensor",
    "pair_step_": f"({_TABLES_IN_PLACE}, {_PAIRS}, float lr, bool exact, int threads) -> Tensor",
    "pair_loss": f"({_TABLES}, {_PAIRS}) -> Tensor",
    "pair_loss_backward": f"(Tensor grad, {_TABLES}, {_PAIRS}) -> (Tensor, Tensor)",
    "lookup": "(Tensor weight, Tensor ids) -> Tensor",
    "update_rows_sgd_": f"({_WEIGHT}, {_GIVEN}, float lr, float weight_decay, {_STEP}) -> ()",
    "update_rows_momentum_": f"({_WEIGHT}, Tensor(b!) momentum_buffer, Tensor(c!) last_step, {_GIVEN}, float lr,"
    f" float momentum, bool nesterov, float weight_decay, {_STEP}) -> ()",
    "update_rows_adagrad_": f"({_WEIGHT}, {_ADAGRAD}) -> ()",
    "update_rows_rowwise_adagrad_": f"({_WEIGHT}, {_ADAGRAD}) -> ()",
    "update_rows_adamw_": f"({_WEIGHT}, Tensor(b!) exp_avg, Tensor(c!) exp_avg_sq, Tensor(d!) last_step,"
    f" Tensor(e!) last_log_decay, {_GIVEN}, float lr, float beta1, float beta2, float eps, float log_decay, {_STEP})"
    " -> ()",
    "simd_name": "(Tensor like) -> Tensor",
    "bfloat16_products_name": "(Tensor like) -> Tensor",
    "has_bfloat16_products": "(Tensor like, str model, int window, int negative, int sharing) -> Tensor",
}

ASKED_ABOUT = ("simd_name", "bfloat16_products_name", "has_bfloat16_products")
"""Ops whose PyTorch kernels are no fallbacks: they tell that they are in use."""

_REMEDY = {"cpu": "with a C++ compiler at hand", "cuda": "with PYEMBED_BUILD_CUDA=1 and nvcc at hand"}


@cache
def warn_of_fallback(device: str) -> None:
    """device: the type of the device, which has no compiled kernels in this build."""
    remedy = f"Reinstall {_REMEDY[device]}, or pass" if device in _REMEDY else "Pass"
    warnings.warn(
        f"pyembed runs its slower PyTorch kernels: compiled ones for {device} are not in use "
        f"({LOAD_ERROR or 'this build has none'}). {remedy} backend='torch' to silence this.",
        stacklevel=2,
    )


def _default(name: str) -> Callable[..., Any]:
    """The PyTorch kernel as the dispatcher calls it: where a compiled one should have been in front, it says so."""
    kernel = KERNELS[name]

    @wraps(kernel)
    def telling_kernel(*arguments: Any) -> Any:
        device = arguments[0].device.type
        if device != "cpu" or (LOAD_ERROR is not None and name not in ASKED_ABOUT):
            warn_of_fallback(device)
        return kernel(*arguments)

    return telling_kernel


def _fake_draw_windows(ids: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    _, _, _, center_begin, center_end, window, negative, sharing, _, _, _ = rest
    count = center_end - center_begin
    contexts = (2 * window,) if sharing == PER_PAIR else ()
    return ids.new_empty(count), ids.new_empty(count, *contexts, 1 + negative)


def _fake_keep_tokens(ids: Tensor, sentence_starts: Tensor, *_rest: Any) -> tuple[Tensor, Tensor]:
    kept = torch.library.get_ctx().new_dynamic_size()
    return ids.new_empty(kept), sentence_starts.new_empty(sentence_starts.shape)


def _fake_draw_negatives(alias_table: Tensor, _first: int, count: int, negative: int, *_rest: Any) -> Tensor:
    return alias_table.new_empty(count, negative)


def _fake_step(in_vectors: Tensor, *_rest: Any) -> Tensor:
    return in_vectors.new_empty(2, dtype=torch.float64)


def _fake_loss(in_vectors: Tensor, *_rest: Any) -> Tensor:
    return in_vectors.new_empty(())


def _fake_backward(_grad: Tensor, in_vectors: Tensor, out_vectors: Tensor, *_rest: Any) -> tuple[Tensor, Tensor]:
    return in_vectors.new_empty(in_vectors.shape), out_vectors.new_empty(out_vectors.shape)


def register_autograd(namespace: str, model: str) -> None:
    """Lets the loss op of a model and namespace pass gradients, by its backward op."""

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
        tensors = [given for given in inputs if isinstance(given, Tensor)]  # every schema lists them first
        ctx.save_for_backward(*tensors)
        ctx.rest = inputs[len(tensors) :]

    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        op = getattr(getattr(torch.ops, namespace), f"{model}_loss_backward")
        gradients = op(grad.contiguous(), *ctx.saved_tensors, *ctx.rest)
        return (*gradients, *(None,) * (len(ctx.saved_tensors) - 2 + len(ctx.rest)))

    torch.library.register_autograd(f"{namespace}::{model}_loss", backward, setup_context=setup_context)


def _fake_lookup(weight: Tensor, ids: Tensor) -> Tensor:
    return weight.new_empty((*ids.shape, weight.shape[1]))


def _fake_update(*_arguments: Any) -> None:
    return None


def register_lookup_autograd(namespace: str) -> None:
    """Lets the lookup op of a namespace pass a dense gradient."""

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
        weight, ids = inputs
        ctx.save_for_backward(ids)
        ctx.rows = weight.shape[0]

    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (ids,) = ctx.saved_tensors
        no_padding, by_frequency = -1, False
        return torch.ops.aten.embedding_dense_backward(grad, ids, ctx.rows, no_padding, by_frequency), None

    torch.library.register_autograd(f"{namespace}::lookup", backward, setup_context=setup_context)


def _register_changes(name: str) -> None:
    """Lets an op that changes tensors count as such: autograd refuses what it saved of them before.

    Compiled kernels write to memory behind torch's back.
    """
    op = getattr(torch.ops.pyembed, name).default
    changed = [place for place, argument in enumerate(op._schema.arguments) if argument.is_write]

    def change(keyset: Any, *arguments: Any) -> Any:
        result = op.redispatch(keyset & torch._C._after_ADInplaceOrView_keyset, *arguments)
        torch.autograd.graph.increment_version([arguments[place] for place in changed])
        return result

    _library.impl(name, change, "ADInplaceOrView", with_keyset=True)


_library = torch.library.Library("pyembed", "DEF")
for _name, _schema in SCHEMAS.items():
    _library.define(_name + _schema, tags=(torch.Tag.pt2_compliant_tag,))
    _library.impl(_name, _default(_name), "CompositeExplicitAutograd")
    if "!" in _schema:
        _register_changes(_name)

torch.library.register_fake("pyembed::draw_windows", _fake_draw_windows)
torch.library.register_fake("pyembed::keep_tokens", _fake_keep_tokens)
torch.library.register_fake("pyembed::draw_negatives", _fake_draw_negatives)
for _model in ("skipgram", "cbow", "pair"):
    torch.library.register_fake(f"pyembed::{_model}_step_", _fake_step)
    torch.library.register_fake(f"pyembed::{_model}_loss", _fake_loss)
    torch.library.register_fake(f"pyembed::{_model}_loss_backward", _fake_backward)
    register_autograd("pyembed", _model)
for _model in ("skipgram", "cbow"):
    torch.library.register_fake(f"pyembed::{_model}_batch_step_", _fake_step)
    torch.library.register_fake(f"pyembed::{_model}_hs_step_", _fake_step)
torch.library.register_fake("pyembed::lookup", _fake_lookup)
register_lookup_autograd("pyembed")
for _name in SCHEMAS:
    if _name.startswith("update_rows_"):
        torch.library.register_fake(f"pyembed::{_name}", _fake_update)
