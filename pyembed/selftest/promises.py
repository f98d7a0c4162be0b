"""The promises of every op, tried on a device against the spec on the CPU.

draws       equal bit for bit
gradients   loss and gradient, float32, within 1e-5 of the spec in float64
steps       where no row is used twice, a step equals the spec whatever runs at the same time
sequential  with one thread or warp a step is the spec's, window after window, on any block
batches     so it is, batch after batch, where windows train together; a GPU has no kernel for that
all kept    where all rows meet, a step of first order holds the update of every window
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from pyembed import ops, reference
from pyembed.selftest.cases import (
    Case,
    block_on,
    block_without_repeats,
    cases,
    distinct_rows,
    draws_of,
    draws_on,
    random_block,
    random_tables,
)
from pyembed.selftest.deviations import Tables, check, largest_difference, relative, unequal
from pyembed.selftest.results import Check
from pyembed.selftest.row_promises import row_checks

_RATES = (0.05, 0.02)
_MANY, _SOME, _FEW = 20_000, 60, 3
"""Words: so many that rows can be distinct; that a sentence can; that all rows meet."""
_FLOAT_SPACING = 2.0**-7
"""Relative distance of two neighbouring bfloat16, at its largest."""


def checks(device: str) -> Iterator[Check]:
    """Every promise on every case, one after the other."""
    for case in cases():
        if case.model == "skipgram" and case.dimensions == Case.dimensions:  # draws know neither model nor width
            yield check("draws", case, 0, _windows, case, device)
    yield check("draws", "negatives of pairs", 0, _negatives, device)
    yield check("draws", "subsampling", 0, _kept, device)
    for case in cases():
        yield check("gradients", case, 1e-5, _gradients, case, device)
        yield check("steps", case, 1e-6, _steps, case, device)
        if ops.is_native(f"{case.model}_step_", device=device):  # PyTorch's kernel trains windows in batches
            yield check("sequential", case, 5e-6, _sequential, case, device)
        if case == Case(case.model):
            yield check("steps, bfloat16", case, 1.0, _steps_of_bfloat16, case, device)
            yield check("all kept", case, 1e-3, _all_kept, case, device)
            if ops.is_native(f"{case.model}_batch_step_", device=device):
                yield check("batches", case, 5e-6, _batches, case, device)
    yield from row_checks(device)


def _windows(case: Case, device: str) -> float:
    block, draws = random_block(_SOME), draws_of(case, _SOME)
    found = ops.draw_windows(block_on(block, device), draws_on(draws, device))
    return unequal(found, ops.draw_windows(block, draws, backend="torch"))


def _negatives(device: str) -> float:
    table = draws_of(Case("skipgram"), _MANY).alias_table
    rest = (2**32 - 5, 1000, 7, 1, 2)
    return unequal([ops.draw_negatives(table.to(device), *rest)], [ops.draw_negatives(table, *rest, backend="torch")])


def _kept(device: str) -> float:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(_SOME, (5000,), generator=generator, dtype=torch.int32)
    thresholds = torch.randint(-(2**31), 2**31, (_SOME,), generator=generator).int()
    first = 2**32 - 9
    starts = first + torch.arange(0, len(ids), 13)
    found = ops.keep_tokens(ids.to(device), starts.to(device), thresholds.to(device), first, 1, 2)
    return unequal(found, ops.keep_tokens(ids, starts, thresholds, first, 1, 2, backend="torch"))


def _gradients(case: Case, device: str) -> float:
    block, draws = random_block(_SOME), draws_of(case, _SOME)
    tables = random_tables(_SOME, case.dimensions)
    found = [table.to(device, copy=True).requires_grad_() for table in tables]
    loss = case.loss(*found, block_on(block, device), draws_on(draws, device))
    loss.backward()
    exact = (tables[0].double(), tables[1].double())
    expected = reference.loss_and_gradient(case.loss_gradient_of, *exact, block, case.spec_draws(draws), batch=64)
    gradients = [table.grad for table in found if table.grad is not None]
    return max(relative(one, other) for one, other in zip((loss, *gradients), expected, strict=True))


def _trained(
    case: Case,
    tables: Tables,
    block: reference.TokenBlock,
    draws: reference.Draws,
    device: str,
    threads: int,
    rates: tuple[float, float] = _RATES,
) -> Tables:
    after = tables[0].to(device, copy=True), tables[1].to(device, copy=True)
    case.step_(*after, block_on(block, device), draws_on(draws, device), *rates, threads=threads)
    return after[0].cpu(), after[1].cpu()


def _by_the_spec(case: Case, tables: Tables, block: reference.TokenBlock, draws: reference.Draws) -> Tables:
    exact = (tables[0].double(), tables[1].double())
    reference.step_(case.gradient_of, *exact, block, case.spec_draws(draws), *_RATES)
    return exact


def _steps(case: Case, device: str) -> float:
    block, draws = distinct_rows(case, _MANY)
    tables = random_tables(_MANY, case.dimensions)
    found = _trained(case, tables, block, draws, device, threads=0)
    return largest_difference(found, _by_the_spec(case, tables, block, draws))


def _steps_of_bfloat16(case: Case, device: str) -> float:
    """In distances of neighbouring numbers: rounding takes one of the two that the exact value lies between."""
    block, draws = distinct_rows(case, _MANY)
    tables = random_tables(_MANY, case.dimensions, torch.bfloat16)
    found = _trained(case, tables, block, draws, device, threads=0)
    expected = _by_the_spec(case, tables, block, draws)
    return max(
        float(((one.double() - other).abs() / (other.abs() * _FLOAT_SPACING + 1e-6)).max())
        for one, other in zip(found, expected, strict=True)
    )


def _sequential(case: Case, device: str) -> float:
    return _on_one_thread(case, draws_of(case, _SOME), device)


def _batches(case: Case, device: str) -> float:
    draws = draws_of(case, _SOME)
    return _on_one_thread(case, replace(draws, negative=8, sharing=4, negative_weight=5 / 8, together=True), device)


def _on_one_thread(case: Case, draws: reference.Draws, device: str) -> float:
    block, tables = block_without_repeats(_SOME), random_tables(_SOME, case.dimensions)
    found = _trained(case, tables, block, draws, device, threads=1)
    return largest_difference(found, _by_the_spec(case, tables, block, draws))


def _all_kept(case: Case, device: str) -> float:
    """The CPU's threads, which store what they changed, promise it one at a time."""
    block, draws, lr = random_block(_FEW), draws_of(case, _FEW), 1e-7
    tables = random_tables(_FEW, case.dimensions, torch.float64)
    found = _trained(case, tables, block, draws, device, threads=1 if device == "cpu" else 0, rates=(lr, lr))
    gradient_of, spec_draws = case.gradient_of, case.spec_draws(draws)
    _, *expected = reference.loss_and_gradient(gradient_of, *tables, block, spec_draws, batch=64)
    return max(
        relative((before - after) / lr, gradient)
        for before, after, gradient in zip(tables, found, expected, strict=True)
    )
