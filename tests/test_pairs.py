"""Promises of the ops on explicit pairs: draws, losses, gradients and steps, whatever stands twice."""

from __future__ import annotations

import naive
import pytest
import torch
from blocks import RTOL, Tables, alias_columns, assert_tables_close, draws_of, each_dtype, require_native
from hypothesis import given, settings
from hypothesis import strategies as st
from pair_cases import LR, Case, cases, distinct_case, random_case
from torch import Tensor
from torch.testing import assert_close

from pyembed import ops, reference
from pyembed.config import Backend

pytestmark = pytest.mark.simt


def spec_step(case: Case, *, batch: int) -> tuple[Tables, Tensor]:
    """What the spec makes of the tables, in float64."""
    after = Tables(*(table.double().clone() for table in case.tables))
    return after, reference.pair_step_(*after, case.in_ids, case.out_ids, LR, batch=batch)


# --- the spec itself --------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(pairs=st.integers(0, 9), outputs=st.integers(1, 6), seed=st.integers(0, 99))
def test_the_spec_of_pairs_equals_the_slow_twin(pairs: int, outputs: int, seed: int) -> None:
    case = random_case(pairs, outputs, 3, seed=seed)
    windows = [
        [naive.Window([row], first, [n for n in negatives if n != first])]
        for row, (first, *negatives) in zip(case.in_ids.tolist(), case.out_ids.tolist(), strict=True)
    ]
    expected = case.tables.in_vectors.tolist(), case.tables.out_vectors.tolist()
    loss, count = naive.step(naive.skipgram_gradient, *expected, windows, (LR, LR))
    found, total = spec_step(case, batch=1)
    assert total.tolist() == pytest.approx([loss, count], rel=1e-12)
    for table, rows in zip(found, expected, strict=True):
        assert_close(table, torch.tensor(rows, dtype=torch.float64), rtol=1e-12, atol=1e-12)


def test_an_exact_step_is_that_of_sgd_on_sparse_embeddings(backend: Backend) -> None:
    """The loop that a user would write by hand."""
    case = random_case(300, 6, 20, dtype=torch.float32)
    first, negatives = case.out_ids[:, :1], case.out_ids[:, 1:]
    negatives.copy_((first + 1 + negatives % 6) % 7)  # never the first: this loop would not skip it
    embeddings = [torch.nn.Embedding.from_pretrained(table.clone(), freeze=False, sparse=True) for table in case.tables]
    optimizer = torch.optim.SGD([embedding.weight for embedding in embeddings], lr=LR)
    rows, outputs = embeddings[0](case.in_ids), embeddings[1](case.out_ids)
    scores = torch.bmm(outputs, rows[:, :, None])[:, :, 0]
    losses = torch.nn.functional.logsigmoid(torch.cat([scores[:, :1], -scores[:, 1:]], dim=1))
    loss = -losses.sum()
    loss.backward()
    optimizer.step()
    total = ops.pair_step_(*case.tables, case.in_ids, case.out_ids, LR, backend=backend)
    assert_close(total, torch.tensor([loss.item(), 300.0], dtype=torch.float64), rtol=1e-5, atol=0)
    expected = Tables(*(embedding.weight.detach() for embedding in embeddings))
    assert_tables_close(case.tables, expected, rtol=1e-5, atol=1e-5)


# --- P1: draws --------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    first=st.sampled_from([0, 3, 2**32 - 5, 2**62]),
    count=st.integers(0, 20),
    negative=st.integers(1, 9),
    seed=st.integers(0, 2**63 - 1),
)
def test_negatives_alone_equal_the_slow_twin(
    backend: Backend, first: int, count: int, negative: int, seed: int
) -> None:
    draws = draws_of(30)
    found = ops.draw_negatives(draws.alias_table, first, count, negative, seed, 5, backend=backend)
    assert found.dtype == torch.int32
    assert found.shape == (count, negative)
    columns = alias_columns(draws)
    assert found.tolist() == [naive.negatives(first + i, columns, negative, seed, 5) for i in range(count)]


# --- P2: loss and gradient --------------------------------------------------------------------------------------------


def gradient(case: Case, backend: Backend) -> tuple[Tensor, Tables]:
    leaves = [table.clone().requires_grad_() for table in case.tables]
    loss = ops.pair_loss(*leaves, case.in_ids, case.out_ids, backend=backend)
    return loss.detach(), Tables(*torch.autograd.grad(loss, leaves))


@settings(max_examples=40)
@given(case=cases)
def test_loss_and_gradient_equal_the_spec(case: Case, backend: Backend) -> None:
    dtype = case.tables.in_vectors.dtype
    doubles = Tables(*(table.double() for table in case.tables))
    spec = reference.pair_gradient(*doubles, case.in_ids, case.out_ids)
    loss, found = gradient(case, backend)
    assert loss.dtype == dtype
    assert loss.shape == ()
    assert_close(loss.double(), spec.loss, rtol=RTOL[dtype], atol=0)
    expected = Tables(*(torch.zeros_like(table) for table in doubles))
    expected.in_vectors.index_add_(0, spec.in_ids, spec.in_rows)
    expected.out_vectors.index_add_(0, spec.out_ids, spec.out_rows)
    assert_tables_close(found, expected, rtol=RTOL[dtype], atol=10 * RTOL[dtype])


def test_the_gradient_is_that_of_the_loss(backend: Backend) -> None:
    case = random_case(9, 4, 3, rows=(4, 5))
    leaves = [table.requires_grad_() for table in case.tables]
    assert torch.autograd.gradcheck(
        lambda *tables: 2.5 * ops.pair_loss(*tables, case.in_ids, case.out_ids, backend=backend), leaves
    )


def test_one_table_on_both_sides_gathers_both_gradients(backend: Backend) -> None:
    case = random_case(9, 4, 3, rows=(5, 5))
    leaf = case.tables.in_vectors.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda table: ops.pair_loss(table, table, case.in_ids, case.out_ids, backend=backend), [leaf]
    )


# --- P3: a small step is the gradient ---------------------------------------------------------------------------------


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_a_small_step_tends_to_the_gradient(exact: bool, seed: int, backend: Backend) -> None:
    case = random_case(60, 6, 5, seed=seed)
    _, slopes = gradient(case, backend)
    errors = []
    for lr in (1e-6, 1e-7):
        after = case.tables.copy()
        ops.pair_step_(*after, case.in_ids, case.out_ids, lr, exact=exact, backend=backend)
        found = [(old - new) / lr for old, new in zip(case.tables, after, strict=True)]
        errors.append(max(float((a - b).abs().max()) for a, b in zip(found, slopes, strict=True)))
    assert errors[0] < 1e-2
    assert errors[1] < max(errors[0] / 5, 1e-7)  # an exact step differs by rounding only


# --- P4: a step equals the spec ---------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(case=cases, threads=st.integers(1, 3))
def test_an_exact_step_equals_the_spec_whatever_stands_twice(case: Case, threads: int, backend: Backend) -> None:
    dtype = case.tables.in_vectors.dtype
    expected, expected_total = spec_step(case, batch=max(1, len(case.in_ids)))
    total = ops.pair_step_(*case.tables, case.in_ids, case.out_ids, LR, threads=threads, backend=backend)
    assert_close(total, expected_total, rtol=RTOL[dtype], atol=0)
    assert_tables_close(case.tables, expected, rtol=RTOL[dtype], atol=RTOL[dtype])


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("outputs", [1, 2, 5, 6, 7, 12, 13])
@each_dtype
def test_a_step_on_distinct_rows_equals_the_spec(
    exact: bool, outputs: int, dtype: torch.dtype, backend: Backend
) -> None:
    for dimensions in (1, 15, 16, 100, 128, 300):
        case = distinct_case(9, outputs, dimensions, dtype)
        expected, expected_total = spec_step(case, batch=1)
        total = ops.pair_step_(*case.tables, case.in_ids, case.out_ids, LR, exact=exact, backend=backend)
        assert_close(total, expected_total, rtol=1e-5, atol=0)
        assert_tables_close(case.tables, expected, rtol=0, atol=1e-6 if dtype == torch.float32 else 1e-12)


@settings(max_examples=40)
@given(case=cases, data=st.data())
def test_native_pairs_in_turn_are_the_sequential_spec(case: Case, data: st.DataObject) -> None:
    """Where no pair has an output twice, except that of the pair itself, which is skipped."""
    require_native()
    pairs, rows = len(case.in_ids), case.tables.out_vectors.shape[0]
    negative = min(case.out_ids.shape[1] - 1, rows)
    case.out_ids.resize_(pairs, 1 + negative)
    for row in case.out_ids:
        row[0] = data.draw(st.integers(0, rows - 1))
        row[1:] = torch.randperm(rows)[:negative]
    dtype = case.tables.in_vectors.dtype
    expected, expected_total = spec_step(case, batch=1)
    total = ops.pair_step_(*case.tables, case.in_ids, case.out_ids, LR, exact=False, backend="native")
    assert_close(total, expected_total, rtol=RTOL[dtype], atol=0)
    assert_tables_close(case.tables, expected, rtol=RTOL[dtype], atol=RTOL[dtype])


@pytest.mark.parametrize("outputs", [6, 12])
def test_a_negative_drawn_twice_loses_no_update(outputs: int) -> None:
    """A lost update would be of first order in the rate."""
    require_native()
    case = random_case(1, outputs, 20)
    case.out_ids[0] = torch.tensor([0] + [1, 2] * 6)[:outputs]
    _, slopes = gradient(case, "native")
    for lr in (1e-2, 1e-3):
        after = case.tables.copy()
        ops.pair_step_(*after, case.in_ids, case.out_ids, lr, exact=False, backend="native")
        for old, new, slope in zip(case.tables, after, slopes, strict=True):
            assert_close((old - new) / lr, slope, rtol=0, atol=20 * lr)


# --- threads ----------------------------------------------------------------------------------------------------------


@each_dtype
def test_the_bits_of_an_exact_step_do_not_depend_on_threads(dtype: torch.dtype) -> None:
    require_native()
    case = random_case(5000, 6, 20, rows=(700, 900), dtype=dtype)
    results = []
    for threads in (1, 2, 3, 8):
        after = case.tables.copy()
        total = ops.pair_step_(*after, case.in_ids, case.out_ids, 1e-3, threads=threads, backend="native")
        results.append((total, *after))
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


@pytest.mark.parametrize("rows", [30, 3000])
def test_an_exact_step_equals_the_spec_where_most_outputs_stand_once(rows: int) -> None:
    """Those are updated before the others; an in_id may have any number of them."""
    require_native()
    for dtype in (torch.float32, torch.float64):
        case = random_case(400, 6, 33, rows=(rows, 20_000), dtype=dtype)
        expected, _ = spec_step(case, batch=400)
        ops.pair_step_(*case.tables, case.in_ids, case.out_ids, LR, threads=2, backend="native")
        assert_tables_close(case.tables, expected, rtol=RTOL[dtype], atol=RTOL[dtype])


def test_hogwild_threads_train_every_pair() -> None:
    require_native()
    case = distinct_case(4000, 6, 10, torch.float32)
    expected, expected_total = spec_step(case, batch=4000)
    total = ops.pair_step_(*case.tables, case.in_ids, case.out_ids, LR, exact=False, threads=3, backend="native")
    assert_close(total, expected_total, rtol=1e-5, atol=0)
    assert_tables_close(case.tables, expected, rtol=0, atol=1e-6)


def test_batches_that_grow_and_shrink_share_no_leftovers() -> None:
    """The thread keeps its memory from call to call."""
    require_native()
    for pairs, outputs, dimensions in ((10, 2, 5), (900, 9, 40), (3, 1, 1), (900, 9, 40)):
        case = random_case(pairs, outputs, dimensions, rows=(50, 60), dtype=torch.float32)
        expected, _ = spec_step(case, batch=pairs)
        ops.pair_step_(*case.tables, case.in_ids, case.out_ids, LR, threads=2, backend="native")
        assert_tables_close(case.tables, expected, rtol=1e-5, atol=1e-5)


# --- memory -----------------------------------------------------------------------------------------------------------


@each_dtype
def test_an_exact_step_takes_one_table_on_both_sides(dtype: torch.dtype, backend: Backend) -> None:
    case = random_case(900, 6, 20, rows=(80, 80), dtype=dtype)
    table = case.tables.in_vectors
    expected = table.double().clone()
    reference.pair_step_(expected, expected, case.in_ids, case.out_ids, LR, batch=900)
    ops.pair_step_(table, table, case.in_ids, case.out_ids, LR, threads=2, backend=backend)
    assert_close(table.double(), expected, rtol=RTOL[dtype], atol=10 * RTOL[dtype])


def test_pairs_in_turn_refuse_one_table(backend: Backend) -> None:
    case = random_case(9, 3, 5)
    table = case.tables.in_vectors
    with pytest.raises(RuntimeError, match=r"expected two tables, got one; pass exact=True"):
        ops.pair_step_(table, table[1:], case.in_ids, case.out_ids, LR, exact=False, backend=backend)


def test_two_tables_may_lie_side_by_side(backend: Backend) -> None:
    case = random_case(60, 3, 5, rows=(9, 9))
    both = torch.cat(case.tables, dim=1)
    for exact in (True, False):
        after, found = case.tables.copy(), both.clone()
        ops.pair_step_(*after, case.in_ids, case.out_ids, LR, exact=exact, backend=backend)
        ops.pair_step_(found[:, :5], found[:, 5:], case.in_ids, case.out_ids, LR, exact=exact, backend=backend)
        assert_close(found, torch.cat(after, dim=1))


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("dimensions", [3, 100])
def test_rows_may_lie_apart_and_what_is_between_stays(exact: bool, dimensions: int, backend: Backend) -> None:
    case = random_case(60, 6, dimensions, dtype=torch.float32)
    wide = [torch.full((len(table), dimensions + 3), 7.0) for table in case.tables]
    views = Tables(*(table[:, :dimensions] for table in wide))
    columns = Tables(*(table.T.clone(memory_format=torch.contiguous_format).T for table in case.tables))
    for view, table in zip(views, case.tables, strict=True):
        view.copy_(table)
    for tables in (views, columns, case.tables):
        ops.pair_step_(*tables, case.in_ids, case.out_ids, LR, exact=exact, backend=backend)
    assert_tables_close(views, case.tables, rtol=1e-5, atol=1e-6)
    assert_tables_close(columns, case.tables, rtol=1e-5, atol=1e-6)
    assert all((table[:, dimensions:] == 7).all() for table in wide)
