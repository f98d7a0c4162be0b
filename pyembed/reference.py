"""The algorithm, runnable: every random decision and every formula, in plain PyTorch, written to be read.

Fast kernels cite the section they implement. They may differ in the order of summation and, with several threads, in
the order of updates (Hogwild races, and rows of which each thread trains a copy for a while); they may not differ in a
random draw.

Letters and names, the same in every file of the project:

    V   rows of a table (size of the vocabulary)          D   dimensions of a vector
    T   tokens in a block                                 S   sentences in a block
    B   windows treated together (a batch)                W   the parameter `window`, in tokens
    K   the parameter `negative`                          N   outputs of a window, 1 + K
    C   contexts of one window, 0 to 2W

    center      the token a window is drawn around        context   another token in the window
    negative    a word drawn from the noise distribution  output    the center or one of its negatives
    in_vectors  [V, D], the vectors of words as contexts, and the result of training
    out_vectors [V, D], the vectors of words as centers and negatives
    position    int64 index of a token: in the corpus (section 2, keep), or in the epoch's stream of kept tokens (else)

As in word2vec.c, the in_vectors of a window's contexts meet the out_vectors of its center and negatives, so that the
negatives of a window belong to its center and are shared by all its contexts, unless section 3.1 is told otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

# ---------------------------------------------------------------------------------------------------------------------
# 1. Random bits: philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011)
#
# A pure function of (seed, epoch, stream, index, slot), so a draw is the same on every device, for every batch size and
# number of threads, and there is no state to save.
#     key     = seed's low and high 32 bits
#     counter = index's low and high 32 bits, epoch, stream * 2**24 + slot
# ---------------------------------------------------------------------------------------------------------------------

KEEP, RADIUS, NEGATIVE, INITIAL, ROUNDING = range(5)
"""The streams: which decision a draw is for."""

_U32 = 0xFFFFFFFF


def _mulhilo(a: int, b: Tensor) -> tuple[Tensor, Tensor]:
    product = a * b  # wraps modulo 2**64, which leaves the bits of the unsigned product
    return (product >> 32) & _U32, product & _U32


def philox(
    counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Ten rounds of philox4x32. Counter: int64 tensors of shapes that broadcast, values 0 to 2**32 - 1.

    Result: int64 tensors of the common shape, values of the same range.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        hi0, lo0 = _mulhilo(0xD2511F53, c0)
        hi1, lo1 = _mulhilo(0xCD9E8D57, c2)
        c0, c1, c2, c3 = hi1 ^ c1 ^ k0, lo1, hi0 ^ c3 ^ k1, lo0
        k0, k1 = (k0 + 0x9E3779B9) & _U32, (k1 + 0xBB67AE85) & _U32
    return c0, c1, c2, c3


def random_words(seed: int, epoch: int, stream: int, index: Tensor, slot: Tensor | int = 0) -> Tensor:
    """Four uniform 32-bit words for each index and slot, below 2**24. index, slot: int64, of shapes that broadcast.

    Returns int64[..., 4], values 0 to 2**32 - 1.
    """
    epoch_word = torch.full_like(index, epoch & _U32)
    slot_word = torch.zeros_like(index) + (stream << 24) + slot
    counter = (index & _U32, (index >> 32) & _U32, epoch_word, slot_word)
    return torch.stack(philox(counter, (seed & _U32, (seed >> 32) & _U32)), dim=-1)


def _one_word(seed: int, epoch: int, stream: int, position: Tensor) -> Tensor:
    """One word for each position: four neighbouring positions share one call of philox."""
    words = random_words(seed, epoch, stream, position >> 2)
    return words.gather(-1, (position & 3).unsqueeze(-1)).squeeze(-1)


def mulhi(word: Tensor, n: int) -> Tensor:
    """Scales a 32-bit word to 0 .. n - 1. n < 2**31; the bias is at most n / 2**32."""
    return (word * n) >> 32


# ---------------------------------------------------------------------------------------------------------------------
# 2. Draws: integers alone decide, so every executor agrees bit for bit
# ---------------------------------------------------------------------------------------------------------------------


def keep_probability(counts: Tensor, sample: float) -> Tensor:
    """Probability of keeping a token of each word: (sqrt(f / sample) + 1) * sample / f, f = count / total, at most 1.

    This is word2vec.c's formula (it differs from the paper's). counts: int64[V] -> float64[V]. sample = 0 keeps all.
    """
    if sample == 0:
        return torch.ones(len(counts), dtype=torch.float64)
    scaled = counts.double() / (counts.sum().double() * sample)
    return ((scaled.sqrt() + 1) / scaled).clamp(max=1.0)


def keep_token(ids: Tensor, positions: Tensor, keep_threshold: Tensor, seed: int, epoch: int) -> Tensor:
    """Whether subsampling keeps each token: word <= keep_threshold[id]. positions count all tokens of the corpus.

    ids: int32[T]; positions: int64[T]; keep_threshold: int64[V], ceil(probability * 2**32) - 1. Returns bool[T].
    """
    return _one_word(seed, epoch, KEEP, positions) <= keep_threshold[ids.long()]


def window_radius(positions: Tensor, window: int, seed: int, epoch: int, shrink_windows: bool = True) -> Tensor:
    """How far each center's window reaches: 1 to `window`, uniform, or always `window` where windows do not shrink.

    positions: int64[B] of kept tokens -> int64[B].
    """
    if not shrink_windows:
        return torch.full_like(positions, window)
    return 1 + mulhi(_one_word(seed, epoch, RADIUS, positions), window)


def negative_ids(
    positions: Tensor, alias_table: Tensor, negative: int, seed: int, epoch: int, first_slot: Tensor | int = 0
) -> Tensor:
    """K draws from the noise distribution for each position, by Walker's alias method.

    positions: int64[...] of kept tokens; alias_table: int32[V, 2], the bits of (uint32 threshold, alias id).
    Negative j takes words 2 * (j % 2) and the next one of slot first_slot + j // 2. first_slot: int64, of a shape that
    broadcasts with that of positions. Returns int64[..., K].
    """
    slots = [random_words(seed, epoch, NEGATIVE, positions, first_slot + pair) for pair in range((negative + 1) // 2)]
    words = torch.cat(slots, dim=-1)[..., : 2 * negative].unflatten(-1, (negative, 2))
    column = mulhi(words[..., 0], alias_table.shape[0])
    threshold, alias = (alias_table.long() & _U32)[column].unbind(-1)
    return torch.where(words[..., 1] < threshold, column, alias)


def initial_in_vectors(rows: int, dimensions: int, seed: int) -> Tensor:
    """word2vec's start: uniform in [-0.5 / D, 0.5 / D). Element e (row-major) takes word e % 4 of index e // 4.

    out_vectors start at zero. Returns float32[V, D].
    """
    element = torch.arange(rows * dimensions)
    word = _one_word(seed, 0, INITIAL, element)
    uniform = (word >> 8).float() * 2.0**-24  # 24 bits: exact in float32
    return ((uniform - 0.5) / dimensions).view(rows, dimensions)


# ---------------------------------------------------------------------------------------------------------------------
# 3. Windows over the stream of kept tokens
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TokenBlock:
    """A block of the stream of kept tokens, and which of its tokens are centers.

    Tokens outside [center_begin, center_end) only serve as contexts, so a block may begin or end inside a sentence.
    """

    ids: Tensor
    """int32[T], 0 to V - 1."""
    sentence_starts: Tensor
    """int64[S + 1], ascending from 0 to T: sentence s is ids[sentence_starts[s] : sentence_starts[s + 1]]."""
    first_position: int
    """Position of ids[0] in the epoch's stream of kept tokens."""
    center_begin: int
    center_end: int


@dataclass(frozen=True)
class Draws:
    """What every draw of windows depends on beside the position."""

    alias_table: Tensor
    """int32[V, 2], see negative_ids."""
    window: int
    negative: int
    seed: int
    epoch: int
    sharing: int = 1
    """Whose the negatives are: 0, each pair's own; 1, a window's; P, those of P windows. See negatives_of."""
    shrink_windows: bool = True
    """Whether each window draws its radius, as word2vec does; otherwise it is `window`. See window_radius."""
    negative_weight: float = 1.0
    """What a negative's loss and gradient are multiplied by. Other than 1 only where windows train together."""
    together: bool = False
    """Whether the windows that share negatives train together, as a batch of section 12; `sharing` is then 1 to 16."""

    @property
    def batch(self) -> int:
        """How many neighbouring windows train together."""
        return self.sharing if self.together else 1


# ---------------------------------------------------------------------------------------------------------------------
# 3.1 Where negatives come from
#
# The number `sharing` says how many neighbouring windows share K negatives:
#     0       each pair has its own, as in word2vec.c: those of context number c, counted from 0 in the order of the
#             corpus, begin at slot c * ceil(K / 2)
#     1       those of a window serve all its contexts
#     P >= 2  a pool: those drawn at position P * (position // P) serve P successive positions of the epoch's stream,
#             whatever the sentence
# Windows of at most 1000 tokens to a side and 1000 negatives stay below slot 2000 * 500. Those windows of a pool skip a
# negative whose center it equals. The windows of a pool train one after the other; where they train together, as
# section 12 has it, other draws are passed over.
# ---------------------------------------------------------------------------------------------------------------------

PER_PAIR, PER_WINDOW = 0, 1
"""Values of Draws.sharing; a larger one is the number of windows in a pool."""


def negatives_of(positions: Tensor, contexts: Tensor, draws: Draws) -> Tensor:
    """The K negatives that context number `contexts` of the window at each position is trained with.

    positions, contexts: int64, of shapes that broadcast; contexts matter where every pair has its own negatives.
    Returns int64[..., K].
    """
    if draws.sharing == PER_PAIR:
        first_slot = contexts * ((draws.negative + 1) // 2)
    else:
        first_slot = torch.zeros_like(contexts)
        positions = positions - positions % draws.sharing
    return negative_ids(positions, draws.alias_table, draws.negative, draws.seed, draws.epoch, first_slot)


class Windows(NamedTuple):
    """B windows. Where a mask is False the id beside it is a placeholder that takes no part.

    Where every pair has its own negatives, each pair is a window of one context.
    """

    contexts: Tensor
    """int64[B, 2W]."""
    context_mask: Tensor
    """bool[B, 2W]: within the radius and the center's sentence."""
    outputs: Tensor
    """int64[B, N]: the center, then its negatives."""
    output_weights: Tensor
    """float64[B, N]: what loss and gradient of each output are multiplied by. 1, or 0 for a negative equal to the
    center, which word2vec skips; see section 12 for others."""
    labels: Tensor
    """bool[B, N]: True for the center."""
    centers: Tensor
    """int64[B]: index of the center in the block."""


def contexts_of(block: TokenBlock, draws: Draws, center: Tensor) -> tuple[Tensor, Tensor]:
    """Contexts and context_mask of the windows around these centers. center: int64[B], indices in the block."""
    position = center + block.first_position
    radius = window_radius(position, draws.window, draws.seed, draws.epoch, draws.shrink_windows)

    distance = torch.arange(1, draws.window + 1, device=center.device)
    offset = torch.cat([-distance.flip(0), distance])
    neighbour = center[:, None] + offset
    sentence = torch.searchsorted(block.sentence_starts.contiguous(), center, right=True)
    first, past_last = block.sentence_starts[sentence - 1], block.sentence_starts[sentence]
    within_sentence = (neighbour >= first[:, None]) & (neighbour < past_last[:, None])
    context_mask = within_sentence & (offset.abs() <= radius[:, None])

    return block.ids.long()[torch.where(context_mask, neighbour, center[:, None])], context_mask


def windows(block: TokenBlock, draws: Draws, begin: int, end: int) -> Windows:
    """The windows of the centers block.ids[begin:end], in their order, and the pairs of each in the corpus's."""
    center = torch.arange(begin, end, device=block.ids.device)
    contexts, context_mask = contexts_of(block, draws, center)
    number = torch.zeros_like(center)
    if draws.sharing == PER_PAIR:
        number = (context_mask.cumsum(1) - 1)[context_mask]
        center = center[:, None].expand_as(context_mask)[context_mask]
        contexts = contexts[context_mask][:, None]
        context_mask = torch.ones_like(contexts, dtype=torch.bool)
    center_ids = block.ids.long()[center][:, None]
    if draws.together:
        negatives, there = batch_negatives(block, draws, center)
        there = there * (draws.negative / there.sum(1, keepdim=True).clamp(min=1).double())
    else:
        negatives = negatives_of(center + block.first_position, number, draws)
        there = negatives != center_ids
    outputs = torch.cat([center_ids, negatives], dim=1)
    weights = torch.cat([torch.ones_like(center_ids), draws.negative_weight * there], dim=1).double()
    return Windows(contexts, context_mask, outputs, weights, first_column(outputs), center)


def first_column(outputs: Tensor) -> Tensor:
    """The labels of outputs of which the first is the center: bool of outputs' shape, [B, N]."""
    return (torch.arange(outputs.shape[1], device=outputs.device) == 0).expand_as(outputs)


# ---------------------------------------------------------------------------------------------------------------------
# 4. The loss of an output: label 1 for the center, 0 for a negative
#
#     loss = -log sigmoid(score) for the center, -log sigmoid(-score) for a negative
#     d loss / d score = sigmoid(score) - label
#
# A loss is a sum over (output, context) pairs; the mean that is reported divides it by the number of positive pairs.
# ---------------------------------------------------------------------------------------------------------------------


def output_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """scores: [..., N]; labels: bool, of a shape that broadcasts with theirs -> losses of the scores' shape."""
    return softplus(torch.where(labels, -scores, scores))


def output_error(scores: Tensor, labels: Tensor) -> Tensor:
    """scores: [..., N]; labels as above -> d loss / d score, of the scores' shape."""
    return torch.sigmoid(scores) - labels.to(scores.dtype)


class Gradient(NamedTuple):
    """What a batch of windows adds to the gradient, row by row: several rows may have the same id, and then add up."""

    in_ids: Tensor
    """int64[R]."""
    in_rows: Tensor
    """[R, D]."""
    out_ids: Tensor
    """int64[Q]."""
    out_rows: Tensor
    """[Q, D]."""
    loss: Tensor
    """float64[]: sum over pairs."""
    pairs: Tensor
    """int64[]: number of positive pairs."""


# ---------------------------------------------------------------------------------------------------------------------
# 5. Skip-gram with negative sampling: every context of a window meets every output of the window
# ---------------------------------------------------------------------------------------------------------------------


def skipgram_gradient(in_vectors: Tensor, out_vectors: Tensor, batch: Windows, weight: Tensor) -> Gradient:
    """Loss and gradient of a batch of windows, each window's gradient times its weight [B] (a learning rate, or 1).

    score[b, c, n] = <in_vectors[contexts[b, c]], out_vectors[outputs[b, n]]>
    """
    contexts = rows_of(in_vectors, batch.contexts)  # [B, 2W, D]
    outputs = rows_of(out_vectors, batch.outputs)  # [B, N, D]
    scores = contexts @ outputs.transpose(1, 2)
    labels = batch.labels[:, None, :]
    factor = batch.context_mask[:, :, None] * batch.output_weights.to(scores.dtype)[:, None, :]
    error = output_error(scores, labels) * factor * weight[:, None, None]
    return Gradient(
        in_ids=batch.contexts.flatten(),
        in_rows=(error @ outputs).flatten(0, 1),
        out_ids=batch.outputs.flatten(),
        out_rows=(error.transpose(1, 2) @ contexts).flatten(0, 1),
        loss=(output_loss(scores, labels) * factor).sum(dtype=torch.float64),
        pairs=batch.context_mask.sum(),
    )


# ---------------------------------------------------------------------------------------------------------------------
# 6. CBOW with negative sampling: the mean (or sum) of a window's contexts meets every output
# ---------------------------------------------------------------------------------------------------------------------


def cbow_draws(draws: Draws) -> Draws:
    """A window's contexts are one pair of CBOW, so that a pair's own negatives are its window's."""
    return replace(draws, sharing=max(draws.sharing, PER_WINDOW))


def cbow_gradient(
    in_vectors: Tensor, out_vectors: Tensor, batch: Windows, weight: Tensor, *, mean: bool, exact_gradient: bool = True
) -> Gradient:
    """As skipgram_gradient; a window without contexts has no part, one with contexts counts as one positive pair.

    hidden[b] = sum over contexts of in_vectors, divided by C if mean
    score[b, n] = <hidden[b], out_vectors[outputs[b, n]]>
    Each context receives d loss / d hidden: whole as in word2vec.c, or divided by C if mean and exact_gradient, as the
    mathematics says.
    """
    contexts, outputs = rows_of(in_vectors, batch.contexts), rows_of(out_vectors, batch.outputs)
    present = batch.context_mask.to(contexts.dtype)  # [B, 2W]
    count = present.sum(1, keepdim=True)
    share = 1 / count.clamp(min=1)
    hidden = (present[:, None, :] @ contexts)[:, 0, :] * (share if mean else 1.0)
    scores = (outputs @ hidden[:, :, None])[:, :, 0]
    factor = batch.output_weights.to(scores.dtype) * (count > 0)
    error = output_error(scores, batch.labels) * factor * weight[:, None]
    hidden_gradient = (error[:, None, :] @ outputs)[:, 0, :] * (share if mean and exact_gradient else 1.0)
    return Gradient(
        in_ids=batch.contexts.flatten(),
        in_rows=(present[:, :, None] * hidden_gradient[:, None, :]).flatten(0, 1),
        out_ids=batch.outputs.flatten(),
        out_rows=(error[:, :, None] * hidden[:, None, :]).flatten(0, 1),
        loss=(output_loss(scores, batch.labels) * factor).sum(dtype=torch.float64),
        pairs=(count > 0).sum(),
    )


# ---------------------------------------------------------------------------------------------------------------------
# 7. A training step over a block
#
# The learning rate falls linearly from center to center: center i trains with
#     lr_begin + (lr_end - lr_begin) * (i - center_begin) / (center_end - center_begin)
# The windows of a batch see the tables as they were before the batch, and their updates add up: a row that stands twice
# in a batch loses none. Batches follow one another. With one window a batch this is the sequential step, window after
# window in order, which a kernel on one thread performs; with many it is the window-batched step, which suits PyTorch.
# Where every pair has its own negatives (section 3.1) a pair is a window: sequential means pair after pair. Where
# windows train together (section 12) it means batch after batch of that section.
# A kernel on one thread may apply the updates of a context that stands twice in one window one after the other.
# ---------------------------------------------------------------------------------------------------------------------


def learning_rates(block: TokenBlock, draws: Draws, lr_begin: float, lr_end: float) -> Tensor:
    """float64, one for each center of the block, which is that of the first center that it trains together with."""
    center = torch.arange(block.center_begin, block.center_end, device=block.ids.device)
    first = first_of_batch(block, draws, center).clamp(min=block.center_begin)
    fraction = (first - block.center_begin).double() / max(len(center), 1)
    return lr_begin + (lr_end - lr_begin) * fraction


_SPAN = 1 << 14  # windows, when a batch is smaller


WindowsOf = Callable[[TokenBlock, Draws, int, int], Windows]
"""windows, or path_windows (section 11) with its tree bound."""


def batches(block: TokenBlock, draws: Draws, size: int, windows_of: WindowsOf = windows) -> Iterator[Windows]:
    """Successive batches of at most `size` windows.

    A span of windows is dealt out to its batches like cards: neighbours, which share most of their contexts, come to
    different batches and so still learn from one another. Windows that train together are one card, and at least one
    is a batch.
    """
    span = -(-max(size, _SPAN) // draws.batch) * draws.batch
    first = block.center_begin - (block.first_position + block.center_begin) % draws.batch
    for begin in range(first, block.center_end, span):
        dealt = windows_of(block, draws, max(begin, block.center_begin), min(begin + span, block.center_end))
        card = torch.arange(len(dealt.contexts), device=block.ids.device)
        if draws.together:
            card = (dealt.centers - begin) // draws.batch
        if not len(card):
            continue
        hands = -(-int(card[-1] + 1) // max(size // draws.batch, 1))
        hand = card % hands
        for places in hand.argsort(stable=True).split(hand.bincount().tolist()):
            yield Windows(*(field[places] for field in dealt))


GradientOf = Callable[[Tensor, Tensor, Windows, Tensor], Gradient]
"""skipgram_gradient, or cbow_gradient with its options bound."""


def step_(
    gradient_of: GradientOf,
    in_vectors: Tensor,
    out_vectors: Tensor,
    block: TokenBlock,
    draws: Draws,
    lr_begin: float,
    lr_end: float,
    *,
    batch: int = 1,
    windows_of: WindowsOf = windows,
) -> Tensor:
    """Trains the block in place, `batch` windows at a time. Returns float64[2]: sum of losses, positive pairs."""
    rates = learning_rates(block, draws, lr_begin, lr_end).to(arithmetic_dtype(in_vectors))
    generator = rounding_generator(draws, block.first_position + block.center_begin, in_vectors.device)
    total = torch.zeros(2, dtype=torch.float64, device=in_vectors.device)
    for batch_windows in batches(block, draws, batch, windows_of):
        weight = rates[batch_windows.centers - block.center_begin]
        gradient = gradient_of(in_vectors, out_vectors, batch_windows, weight)
        subtract_rows_(in_vectors, gradient.in_ids, gradient.in_rows, generator)
        subtract_rows_(out_vectors, gradient.out_ids, gradient.out_rows, generator)
        total += torch.stack([gradient.loss, gradient.pairs.double()])
    return total


def loss_and_gradient(
    gradient_of: GradientOf, in_vectors: Tensor, out_vectors: Tensor, block: TokenBlock, draws: Draws, *, batch: int = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """The block's sum of losses, float64[], and its exact gradient: two tensors of the tables' shape and dtype."""
    in_gradient, out_gradient = torch.zeros_like(in_vectors), torch.zeros_like(out_vectors)
    total = torch.zeros((), dtype=torch.float64, device=in_vectors.device)
    for batch_windows in batches(block, draws, batch):
        unweighted = in_vectors.new_ones(len(batch_windows.contexts))
        gradient = gradient_of(in_vectors, out_vectors, batch_windows, unweighted)
        in_gradient.index_add_(0, gradient.in_ids, gradient.in_rows)
        out_gradient.index_add_(0, gradient.out_ids, gradient.out_rows)
        total += gradient.loss
    return total, in_gradient, out_gradient


# ---------------------------------------------------------------------------------------------------------------------
# 8. Tables of bfloat16
#
# A bfloat16 is the upper half of a float32's bits. Rows are widened to float32, everything is computed in float32, and
# a row that changed is rounded to bfloat16 so that its expectation is the float32 value: 16 uniform bits are added to
# the pattern, then its lower half is cut off. Rounding to the nearest would lose every update below 2**-9 of a value.
#
# The bits come from any good generator that (seed, epoch, position) seeds, so a run on one thread repeats; executors
# need not agree on them, nor on whether updates that meet in one row of a batch are rounded together or one by one.
# Losses and gradients for autograd are those of float32 and float64 tables. in_vectors start at the neighbour nearest
# to section 2's.
# ---------------------------------------------------------------------------------------------------------------------


def arithmetic_dtype(table: Tensor) -> torch.dtype:
    """The type that is computed with for a table."""
    return torch.float32 if table.dtype in (torch.bfloat16, torch.float16) else table.dtype


def rows_of(table: Tensor, ids: Tensor) -> Tensor:
    """The rows of these ids, ready to be computed with. table: [V, D]; ids: int64[...] -> [..., D]."""
    return table[ids].to(arithmetic_dtype(table))


def rounding_generator(draws: Draws, position: int, device: torch.device) -> torch.Generator:
    """The source of random bits of a block whose first center has this position."""
    low, high, *_ = random_words(draws.seed, draws.epoch, ROUNDING, torch.tensor(position)).tolist()
    return torch.Generator(device).manual_seed(low + (high << 32))


def round_stochastically(values: Tensor, bits: Tensor) -> Tensor:
    """values: float32[...]; bits: int32[...], uniform from 0 to 2**16 - 1 -> bfloat16[...], the neighbour they choose.

    Values that are bfloat16 already, infinities among them, stay as they are, and what is not a number stays none.
    """
    rounded = ((values.view(torch.int32) + bits) >> 16).to(torch.int16).view(torch.bfloat16)
    return rounded.masked_fill(values.isnan(), math.nan)


def subtract_rows_(table: Tensor, ids: Tensor, rows: Tensor, generator: torch.Generator) -> None:
    """table[ids] -= rows, where an id that stands twice loses neither row. ids: int64[R]; rows: [R, D]."""
    if table.dtype != torch.bfloat16:
        table.index_add_(0, ids, rows, alpha=-1)
        return
    changed, place = ids.unique(return_inverse=True)
    values = rows_of(table, changed).index_add_(0, place, rows, alpha=-1)
    bits = torch.randint(1 << 16, values.shape, generator=generator, dtype=torch.int32, device=values.device)
    table[changed] = round_stochastically(values, bits)


# ---------------------------------------------------------------------------------------------------------------------
# 9. Explicit pairs: any rows of in_vectors with any rows of out_vectors, for graphs, recommenders and autograd
#
# Pair b is a window of one context: in_ids[b] meets out_ids[b], of which the first belongs to it (label 1) and the
# others are its negatives (label 0); a negative equal to the first takes no part. The tables may have different numbers
# of rows, and may be one. Who reads pairs as (center, context), as word2vec's paper does, looks centers up in
# in_vectors.
#
# An exact step sees the tables as they were before all pairs, and its updates add up: it is the step of SGD on the sum
# of the losses. Otherwise pairs follow one another.
# ---------------------------------------------------------------------------------------------------------------------


def pair_windows(in_ids: Tensor, out_ids: Tensor) -> Windows:
    """in_ids: int[B], rows of in_vectors; out_ids: int[B, N], rows of out_vectors."""
    contexts, outputs = in_ids.long()[:, None], out_ids.long()
    labels = first_column(outputs)
    weights = (labels | (outputs != outputs[:, :1])).double()
    pairs = torch.arange(len(contexts), device=contexts.device)
    return Windows(contexts, torch.ones_like(contexts, dtype=torch.bool), outputs, weights, labels, centers=pairs)


def pair_gradient(in_vectors: Tensor, out_vectors: Tensor, in_ids: Tensor, out_ids: Tensor) -> Gradient:
    """The loss of all pairs and its gradient, row by row."""
    return skipgram_gradient(in_vectors, out_vectors, pair_windows(in_ids, out_ids), in_vectors.new_ones(in_ids.shape))


def pair_step_(
    in_vectors: Tensor, out_vectors: Tensor, in_ids: Tensor, out_ids: Tensor, lr: float, *, batch: int = 1
) -> Tensor:
    """Trains the pairs in place, `batch` at a time; an exact step has all in one. Returns float64[2]: loss, pairs."""
    total = torch.zeros(2, dtype=torch.float64, device=in_vectors.device)
    for begin in range(0, len(in_ids), batch):
        pairs = slice(begin, begin + batch)
        gradient = pair_gradient(in_vectors, out_vectors, in_ids[pairs], out_ids[pairs])
        in_vectors.index_add_(0, gradient.in_ids, gradient.in_rows, alpha=-lr)
        out_vectors.index_add_(0, gradient.out_ids, gradient.out_rows, alpha=-lr)
        total += torch.stack([gradient.loss, gradient.pairs.double()])
    return total


# ---------------------------------------------------------------------------------------------------------------------
# 10. Rows of an embedding, and optimisers that change the rows alone that were looked up
#
# Row ids[i] of `weight` was looked up and received a gradient: row i of grad, or, where rows of grad belong to bags of
# several ids, factors[i] times row bags[i]. An id that stands several times is touched once, by
#
#     g = scale * the sum of its gradients
#     g = g * min(1, clip_norm / |g|)          its norm over all D columns
#
# Rows that `frozen` marks stay as they are. For each other touched row w, with lr, eps, betas, momentum, nesterov and
# weight_decay as those of torch.optim:
#
#     sgd                g = g + weight_decay * w
#                        w = w - lr * g
#     sgd, momentum,     g = g + weight_decay * w                                      (Sutskever et al. 2013)
#     lazy               k = t - the step at which the row was last touched
#                        b = momentum**k * b + g
#                        w = w - lr * (g + momentum * b  if nesterov, else  b)
#     adagrad            g = g + weight_decay * w                                      (Duchi et al. 2011)
#                        s = s + g**2
#                        w = w - lr * g / (sqrt(s) + eps)
#     row-wise adagrad   as adagrad, with one s a row:                                 (Mudigere et al. 2022)
#                        s = s + mean of g**2
#     adamw, lazy        k as above                                                    (Loshchilov and Hutter 2019)
#                        m = beta1**k * m + (1 - beta1) * g
#                        v = beta2**k * v + (1 - beta2) * g**2
#                        w = exp(log_decay - the log_decay at which the row was last touched) * w
#                            - lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps)
#
# t counts the calls: 1, 2, ...; a row that was never touched was last touched at step 0, where log_decay is 0. After t
# steps log_decay is the sum of log(1 - lr * weight_decay) over them, each with its own lr. Rows that are not touched
# stay as they are, and so does what the optimiser remembers of them.
#
# torch.optim.AdamW, which touches every row at every step, multiplies m by beta1, v by beta2 and w by 1 - lr *
# weight_decay in a step without gradient; a touched row catches up with that. It also moves such a row along m; a lazy
# row does not move. So both agree where every row is touched at every step, and where beta1 = 0. Momentum likewise.
#
# Tables of float16 and bfloat16 are computed with in float32, which is the type of their b, s, m and v, too. A float16
# is rounded to the nearest; a bfloat16 stochastically as in section 8, with bits that are drawn for the element:
#     element d of row r takes 16 bits of random_words(seed, t, ROUNDING, r, d // 4): d % 4 = 0 the lower half of word
#     0, 1 its upper half, 2 and 3 those of word 1
# ---------------------------------------------------------------------------------------------------------------------


class RowGradients(NamedTuple):
    """The gradient of what was looked up."""

    ids: Tensor
    """int32 or int64, of any shape; int[n] where there are bags."""
    grad: Tensor
    """[..., D], ids' shape, of the table's type; or [bags, D]."""
    bags: Tensor | None = None
    """[n], of the type of ids: the row of grad that is the gradient of each id."""
    factors: Tensor | None = None
    """[n], of the type that is computed with: what that row is multiplied by. None: 1."""
    frozen: Tensor | None = None
    """bool[V]: rows that stay as they are."""
    scale: float = 1.0
    clip_norm: float = math.inf
    """Above 0: the largest norm of a row's gradient."""


class TouchedRows(NamedTuple):
    """The distinct rows of a batch that are not frozen, and their gradients."""

    ids: Tensor
    """int64[U], ascending."""
    weight: Tensor
    """[U, D], as they are."""
    gradient: Tensor
    """[U, D], sums, scaled and clipped, in the type that is computed with."""


def touched_rows(weight: Tensor, given: RowGradients) -> TouchedRows:
    """weight: [V, D]."""
    ids, grad = given.ids.flatten().long(), given.grad.reshape(-1, weight.shape[1]).to(arithmetic_dtype(weight))
    if given.bags is not None:
        grad = grad[given.bags.long()]
    if given.factors is not None:
        grad = given.factors.flatten()[:, None] * grad
    if given.frozen is not None:
        free = ~given.frozen[ids]
        ids, grad = ids[free], grad[free]
    touched, place = ids.unique(return_inverse=True)
    rows = rows_of(weight, touched)
    gradient = given.scale * torch.zeros_like(rows).index_add_(0, place, grad)
    if given.clip_norm < math.inf:
        gradient = gradient * (given.clip_norm / gradient.norm(dim=1, keepdim=True)).clamp(max=1.0)
    return TouchedRows(touched, rows, gradient)


def element_bits(ids: Tensor, dimensions: int, seed: int, step: int) -> Tensor:
    """What the elements of these rows are rounded with: int32[U, D], 0 to 2**16 - 1. ids: int64[U]."""
    column = torch.arange(dimensions, device=ids.device)
    words = random_words(seed, step, ROUNDING, ids[:, None], column // 4)
    word = words[..., :2].gather(-1, (column % 4 // 2).expand(words.shape[:-1])[..., None])[..., 0]
    return ((word >> column % 2 * 16) & 0xFFFF).int()


def store_rows_(table: Tensor, ids: Tensor, rows: Tensor, seed: int, step: int) -> None:
    """table[ids] = rows, rounded to the table's type. ids: int64[U], distinct; rows: [U, D]."""
    if table.dtype == torch.bfloat16:
        rows = round_stochastically(rows, element_bits(ids, table.shape[1], seed, step))
    table[ids] = rows.to(table.dtype)


def missed_decay(factor: float, last_step: Tensor, step: int, like: Tensor) -> Tensor:
    """factor ** (step - last_step), [U, 1], of like's type. last_step: int32[U]."""
    return (factor ** (step - last_step).double()[:, None]).to(like.dtype)


def sgd_rows_(weight: Tensor, given: RowGradients, lr: float, weight_decay: float, step: int, seed: int) -> None:
    touched = touched_rows(weight, given)
    gradient = touched.gradient + weight_decay * touched.weight
    store_rows_(weight, touched.ids, touched.weight - lr * gradient, seed, step)


def momentum_rows_(
    weight: Tensor,
    momentum_buffer: Tensor,
    last_step: Tensor,
    given: RowGradients,
    lr: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
    step: int,
    seed: int,
) -> None:
    """momentum_buffer: [V, D], b; last_step: int32[V]."""
    touched = touched_rows(weight, given)
    gradient = touched.gradient + weight_decay * touched.weight
    decay = missed_decay(momentum, last_step[touched.ids], step, gradient)
    buffer = decay * momentum_buffer[touched.ids] + gradient
    momentum_buffer[touched.ids], last_step[touched.ids] = buffer, step
    direction = gradient + momentum * buffer if nesterov else buffer
    store_rows_(weight, touched.ids, touched.weight - lr * direction, seed, step)


def adagrad_rows_(
    weight: Tensor,
    sum_of_squares: Tensor,
    given: RowGradients,
    lr: float,
    eps: float,
    weight_decay: float,
    step: int,
    seed: int,
) -> None:
    """sum_of_squares: [V, D], or [V] for row-wise adagrad."""
    touched = touched_rows(weight, given)
    gradient = touched.gradient + weight_decay * touched.weight
    squares = gradient**2 if sum_of_squares.dim() == 2 else (gradient**2).mean(1)
    sums = sum_of_squares[touched.ids] + squares
    sum_of_squares[touched.ids] = sums
    denominator = (sums if sums.dim() == 2 else sums[:, None]).sqrt() + eps
    store_rows_(weight, touched.ids, touched.weight - lr * gradient / denominator, seed, step)


def adamw_rows_(
    weight: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    last_step: Tensor,
    last_log_decay: Tensor,
    given: RowGradients,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    log_decay: float,
    step: int,
    seed: int,
) -> None:
    """exp_avg, exp_avg_sq: [V, D], m and v; last_step: int32[V]; last_log_decay: float64[V]."""
    touched = touched_rows(weight, given)
    decay1, decay2 = (missed_decay(beta, last_step[touched.ids], step, touched.weight) for beta in (beta1, beta2))
    shrink = (log_decay - last_log_decay[touched.ids]).exp().to(touched.weight.dtype)[:, None]
    mean = decay1 * exp_avg[touched.ids] + (1 - beta1) * touched.gradient
    square = decay2 * exp_avg_sq[touched.ids] + (1 - beta2) * touched.gradient**2
    exp_avg[touched.ids], exp_avg_sq[touched.ids] = mean, square
    last_step[touched.ids], last_log_decay[touched.ids] = step, log_decay
    direction = (mean / (1 - beta1**step)) / ((square / (1 - beta2**step)).sqrt() + eps)
    store_rows_(weight, touched.ids, shrink * touched.weight - lr * direction, seed, step)


# ---------------------------------------------------------------------------------------------------------------------
# 11. Hierarchical softmax: the path to the center in a tree takes the place of the center and its negatives
#     (Morin and Bengio 2005; with Huffman's tree, as word2vec.c trains it, Mikolov et al. 2013)
#
# The tree has a word at each of its V leaves, and a row of node_vectors at each of its V - 1 inner nodes. It is made
# from the counts (Huffman 1952): the two rarest of what there is become the children of a new node, whose count is
# their sum, until one node is left, the root. Nodes are numbered as they are made, from 0 to V - 2. Of equal counts a
# word goes before a node, a word before one of lower id, and a node before one of higher number; so no tree of these
# counts has a shorter longest path. The rarer of two children, which is the first, has bit 0, the other bit 1.
#
# A word's path are the nodes from the root down to its leaf, and with each the bit of the child that comes next. A node
# of the path is an output with label 1 - bit, so that sections 4 to 8 hold with node_vectors in place of out_vectors:
#     loss = the sum over the center's path of softplus(-score) where the bit is 0, softplus(score) where it is 1
# A vocabulary of one word has no inner node: its windows count pairs, but train nothing.
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HuffmanTree:
    """The path to every word: that of word w is path_nodes[path_starts[w] : path_starts[w + 1]], from the root down."""

    path_starts: Tensor
    """int64[V + 1], ascending from 0."""
    path_nodes: Tensor
    """int32[path_starts[V]], 0 to V - 2."""
    path_bits: Tensor
    """uint8[path_starts[V]], 0 or 1."""


def huffman_tree(counts: Tensor) -> HuffmanTree:
    """counts: int64[V], >= 0, V >= 1."""
    V = len(counts)
    # (count, whether a node, order among equals, the words below with their paths from here on)
    waiting: list[tuple[int, bool, int, dict[int, list[tuple[int, int]]]]]
    waiting = [(count, False, -word, {word: []}) for word, count in enumerate(counts.tolist())]
    heapify(waiting)
    for node in range(V - 1):
        (rarest, *_, left), (second, *_, right) = heappop(waiting), heappop(waiting)
        below = {word: [(node, bit), *path] for bit, child in enumerate((left, right)) for word, path in child.items()}
        heappush(waiting, (rarest + second, True, node, below))
    paths = waiting[0][-1]
    lengths = torch.tensor([0, *(len(paths[word]) for word in range(V))])
    steps = torch.tensor([step for word in range(V) for step in paths[word]], dtype=torch.int64).view(-1, 2)
    return HuffmanTree(lengths.cumsum(0), steps[:, 0].int(), steps[:, 1].to(torch.uint8))


def path_windows(tree: HuffmanTree, block: TokenBlock, draws: Draws, begin: int, end: int) -> Windows:
    """As windows(), with the nodes of the center's path as outputs. Of draws, those of negatives play no part."""
    center = torch.arange(begin, end, device=block.ids.device)
    contexts, context_mask = contexts_of(block, draws, center)
    words = block.ids.long()[center]
    first, past_last = tree.path_starts[words], tree.path_starts[words + 1]
    longest = int((past_last - first).max()) if len(words) else 0
    step = first[:, None] + torch.arange(longest, device=center.device)
    there = step < past_last[:, None]
    step = torch.where(there, step, 0)
    outputs, labels = tree.path_nodes[step].long(), tree.path_bits[step] == 0
    return Windows(contexts, context_mask, outputs, there.double(), labels, center)


# ---------------------------------------------------------------------------------------------------------------------
# 12. Windows trained together
#
# Where Draws.together says so, the windows that share negatives also share a step: each row of a table is brought in,
# and the sum of its updates written, once for all of them. Training on shared negatives by products of matrices is due
# to Ji et al. 2016 (arXiv:1604.04661), who share them among the contexts of a window; Rengasamy et al. 2017
# ("Optimizing Word2Vec performance on multicore systems", IA3) combine windows. Here neighbours are combined, and how
# many negatives they share is not tied to what these count:
#
#     batch       the centers whose positions share position // P, P = sharing, 1 to 16, whatever the sentence. Those
#                 outside of [center_begin, center_end) take no part, so that a batch at the edge of a block may be
#                 smaller
#     negatives   as many as Draws.negative says for all of the batch: of twice as many draws at position
#                 P * (position // P), the first that equal none of the batch's centers and none before. Where these are
#                 not as many, which takes a small vocabulary, there are fewer, and each counts as much more
#     window      its radius, its contexts and its center as ever; its outputs are its center, of weight 1, and the
#                 batch's negatives, each of weight negative_weight, by which its loss and its gradient are multiplied.
#                 N - 1 of them, each of weight K / (N - 1), count as K of weight 1
#     tables      every window of the batch sees them as they were before the batch, and all updates add up. A kernel on
#                 one thread may apply the updates of a context that stands at several places of a batch one after the
#                 other
#     rate        that of the batch's first center that takes part
#     products    where a step allows it, a kernel may round the factors of its products to the nearest bfloat16: of
#                 scores the rows of contexts and outputs; of updates the same rows, and rate * weight * error. CBOW's
#                 hidden vectors stand for contexts there, and so are rounded; as are the rows that they sum up, and
#                 their gradients, rate included. What it sums up, and the rows that it adds the sums to, are float32
#                 all the same. A factor is off by 2**-9 of itself at most, a score of c and o by
#                 2**-8 * sum over d of |c[d] * o[d]|
#
# Sections 4 to 8 hold for each window; loss and pairs are sums over them. A step of many batches at a time (section 7)
# takes whole ones. With P = 1 and weight 1 nothing differs from windows that follow one another, but for the draws that
# are passed over. That they are is worth half a point of the analogies.
# ---------------------------------------------------------------------------------------------------------------------


def first_of_batch(block: TokenBlock, draws: Draws, center: Tensor) -> Tensor:
    """Index in the block, or one before it, of the first token of each center's batch, whether it takes part or not.

    center: int64[B] -> int64[B].
    """
    return center - (center + block.first_position) % draws.batch


def batch_centers(block: TokenBlock, draws: Draws, center: Tensor) -> Tensor:
    """Ids of the centers that take part in each center's batch; where there are fewer than P, its own fills up.

    center: int64[B] -> int64[B, P].
    """
    place = first_of_batch(block, draws, center)[:, None] + torch.arange(draws.batch, device=center.device)
    there = (place >= block.center_begin) & (place < block.center_end)
    return block.ids.long()[torch.where(there, place, center[:, None])]


def batch_negatives(block: TokenBlock, draws: Draws, center: Tensor) -> tuple[Tensor, Tensor]:
    """The negatives of each center's batch, and where there are any; elsewhere the id is a placeholder.

    center: int64[B] -> int64[B, K], bool[B, K], K = draws.negative.
    """
    position = first_of_batch(block, draws, center) + block.first_position
    draw = negative_ids(position, draws.alias_table, 2 * draws.negative, draws.seed, draws.epoch)
    is_center = (draw[:, :, None] == batch_centers(block, draws, center)[:, None, :]).any(-1)
    same = draw[:, :, None] == draw[:, None, :]
    fits = ~is_center & ~same.tril(-1).any(-1)
    first = fits.to(torch.uint8).sort(dim=1, descending=True, stable=True).indices[:, : draws.negative]
    return draw.gather(1, first), fits.gather(1, first)
