"""Every hyper-parameter once: its unit, range, default and where the default comes from.

The dataclasses are frozen and check themselves, so a value that reaches any other room is a valid one.
"""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass, fields
from numbers import Integral, Real
from typing import Any, Literal, get_args

Model = Literal["skipgram", "cbow"]
Backend = Literal["auto", "native", "torch"]
CbowGradient = Literal["word2vec", "exact"]
TableDtype = Literal["float32", "bfloat16"]
Products = Literal["float32", "bfloat16"]
WriteBack = Literal["add", "store"]
NegativesFrom = Literal["pair", "window", "pool", "batch"]
Tokenizer = Literal["whitespace", "words"]
EncodingErrors = Literal["strict", "replace"]

MOST_TOGETHER = 16
"""Windows that may train together, in one step."""

DEFAULT_ALPHA: dict[str, float] = {"skipgram": 0.025, "cbow": 0.05}
"""Initial learning rates of word2vec.c, by model."""


def _require(condition: bool, name: str, expected: str, found: object) -> None:
    if not condition:
        raise ValueError(f"{name}: expected {expected}, found {found!r}")


def _require_int(name: str, value: object, low: int, high: int | None = None) -> None:
    limits = f"a whole number >= {low}" if high is None else f"a whole number from {low} to {high}"
    # numpy's whole numbers count as such; True does not
    whole = int(value) if not isinstance(value, bool) and isinstance(value, Integral) else None
    _require(whole is not None and low <= whole and (high is None or whole <= high), name, limits, value)


def _require_bool(name: str, value: object) -> None:
    _require(isinstance(value, bool), name, "True or False", value)


def _require_choice(name: str, value: object, kind: Any) -> None:
    choices = get_args(kind)
    _require(value in choices, name, "one of " + ", ".join(choices), value)


def _make_plain(config: CorpusConfig | TrainConfig) -> None:
    """numpy's numbers become Python's, which JSON can hold."""
    for field in fields(config):
        value: object = getattr(config, field.name)
        if not isinstance(value, bool) and isinstance(value, Real):
            object.__setattr__(config, field.name, int(value) if isinstance(value, Integral) else float(value))


def _is_number(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """How text becomes words and words become a vocabulary.

    Raises:
        ValueError: a value is out of its range; the message names the field, what was expected and what was found.
    """

    lowercase: bool = False
    """Lower-case every word by Unicode's rules before it is counted."""
    tokenizer: Tokenizer = "whitespace"
    """`whitespace` splits at ASCII white space, as word2vec and fastText; `words` keeps Unicode words alone."""
    encoding_errors: EncodingErrors = "strict"
    """What invalid UTF-8 does: stop with an error, or become U+FFFD and be counted."""
    min_count: int = 5
    """Words that occur less often are dropped before windows are formed. >= 1; word2vec's default."""
    max_final_vocab: int | None = None
    """Keep only this many of the most frequent words. >= 1, or None for all."""

    def __post_init__(self) -> None:
        _require_bool("lowercase", self.lowercase)
        _require_choice("tokenizer", self.tokenizer, Tokenizer)
        _require_choice("encoding_errors", self.encoding_errors, EncodingErrors)
        _require_int("min_count", self.min_count, 1)
        if self.max_final_vocab is not None:
            _require_int("max_final_vocab", self.max_final_vocab, 1)
        _make_plain(self)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The hyper-parameters of skip-gram and CBOW with negative sampling, hierarchical softmax, or both.

    Mikolov et al. 2013, arXiv:1310.4546.

    Raises:
        ValueError: a value is out of its range; the message names the field, what was expected and what was found.
    """

    model: Model = "skipgram"
    vector_size: int = 100
    """D, the number of dimensions. 1 to 65,536; word2vec's default."""
    window: int = 5
    """Largest distance between a center and a context, in kept tokens. 1 to 1,000; word2vec's default."""
    shrink_windows: bool = True
    """Each window reaches 1 to `window` tokens to either side, drawn anew, as word2vec; False: always `window`."""
    negative: int = 5
    """K, the negatives that a pair is trained with. 1 to 1,000, or 0 (none) with hs; word2vec's default."""
    hs: bool = False
    """Hierarchical softmax: train with the path to the center in Huffman's tree of the vocabulary; beside negatives,
    unless negative is 0. word2vec's default."""
    negatives_from: NegativesFrom | None = None
    """Who shares negatives: every `pair` has its own, as word2vec; all pairs of a `window`; a `pool` of windows; or a
    `batch` of windows, which also train together, in one step. A window is one pair of CBOW. None: `batch` on the CPU,
    `window` on a GPU, whose kernels train a window at a time."""
    pool: int | None = None
    """Neighbouring windows that share negatives, 2 to 64, or to 16 of a `batch`. Others do not read it. None: 4, or 6
    of skip-gram where products are bfloat16."""
    pool_negatives: int | None = None
    """Negatives drawn for a `batch`, 1 to 1,000, each of which counts negative / pool_negatives. None: (pool + 4) / 5
    of `negative`, rounded up; of CBOW where products are bfloat16, (pool + 8) / 5."""
    products: Products | None = None
    """What batches on the CPU are multiplied as. `bfloat16`: factors may be rounded to it, where the processor is fast
    at that (AMD's AVX-512 since Zen 4; for skip-gram also AMX); sums and tables are not. None: `bfloat16` there, where
    batches fit (at most 16 contexts and 16 outputs, 6 windows of CBOW) and there are 1,000 words or more; else
    `float32`. Others do not read it."""
    ns_exponent: float = 0.75
    """Negatives are drawn in proportion to count ** ns_exponent. Any finite number; word2vec's default."""
    sample: float = 1e-3
    """Words more frequent than this fraction are thinned out. 0 (keep all) to 1; word2vec's default."""
    epochs: int = 5
    """Passes over the corpus. >= 1; word2vec's default."""
    alpha: float | None = None
    """Learning rate at the start, > 0. None: 0.025 for skip-gram, 0.05 for CBOW, as word2vec.c."""
    min_alpha: float = 1e-4
    """Learning rate at the end, reached linearly. 0 to alpha; gensim's default."""
    cbow_mean: bool = True
    """CBOW's hidden vector is the mean of the contexts' vectors, else their sum."""
    cbow_gradient: CbowGradient = "word2vec"
    """Whether each context of a mean receives the whole gradient (word2vec) or its share 1/C (exact)."""
    threads: int | None = None
    """CPU threads, >= 1. None: all cores that this process may use. One thread repeats bit for bit; on a GPU, too, 1
    stands for one window after the other, which is slow there, and any other number leaves the GPU to itself."""
    seed: int = 1
    """Key of every random draw. 0 to 2**63 - 1; gensim's default."""
    backend: Backend = "auto"
    """`native` insists on the compiled kernels, `torch` on the PyTorch fallback, `auto` takes the faster at hand."""
    device: str = "cpu"
    """Where the tables live, as torch names it: "cpu", "cuda", "cuda:1"."""
    table_dtype: TableDtype = "float32"
    """Type of the tables' elements; `bfloat16` halves their memory and is rounded stochastically to."""

    write_back: WriteBack = "add"
    """How warps of a GPU that train at the same time put a changed row back; see ops.skipgram_step_. The CPU stores."""

    def __post_init__(self) -> None:
        _require_choice("model", self.model, Model)
        _require_int("vector_size", self.vector_size, 1, 65_536)
        _require_int("window", self.window, 1, 1_000)
        _require_bool("shrink_windows", self.shrink_windows)
        _require_bool("hs", self.hs)
        _require_int("negative", self.negative, 0, 1_000)
        _require(self.negative > 0 or self.hs, "negative", "a whole number >= 1 unless hs is True", self.negative)
        _require(isinstance(self.device, str), "device", "the name of a torch device", self.device)
        if self.negatives_from is not None:
            _require_choice("negatives_from", self.negatives_from, NegativesFrom)
        if self.pool is not None:
            _require_int("pool", self.pool, 2, MOST_TOGETHER if self.negatives_shared_by == "batch" else 64)
        if self.pool_negatives is not None:
            _require_int("pool_negatives", self.pool_negatives, 1, 1_000)
        if self.products is not None:
            _require_choice("products", self.products, Products)
        _require(_is_number(self.ns_exponent), "ns_exponent", "a finite number", self.ns_exponent)
        _require(_is_number(self.sample) and 0 <= self.sample <= 1, "sample", "a number from 0 to 1", self.sample)
        _require_int("epochs", self.epochs, 1, 2**32 - 1)
        if self.alpha is not None:
            _require(_is_number(self.alpha) and self.alpha > 0, "alpha", "a finite number > 0", self.alpha)
        rate = self.learning_rate
        _require(
            _is_number(self.min_alpha) and 0 <= self.min_alpha <= rate,
            "min_alpha",
            f"a number from 0 to alpha ({rate})",
            self.min_alpha,
        )
        _require_bool("cbow_mean", self.cbow_mean)
        _require_choice("cbow_gradient", self.cbow_gradient, CbowGradient)
        if self.threads is not None:
            _require_int("threads", self.threads, 1, 4_096)
        _require_int("seed", self.seed, 0, 2**63 - 1)
        _require_choice("backend", self.backend, Backend)
        _require_choice("table_dtype", self.table_dtype, TableDtype)
        _require_choice("write_back", self.write_back, WriteBack)
        _make_plain(self)

    @property
    def learning_rate(self) -> float:
        """alpha, or the model's default where it is None."""
        return DEFAULT_ALPHA[self.model] if self.alpha is None else self.alpha

    @property
    def negatives_shared_by(self) -> NegativesFrom:
        """negatives_from, or the device's default where it is None."""
        if self.negatives_from is None:
            return "batch" if self.device.split(":")[0] == "cpu" else "window"
        return self.negatives_from

    @property
    def windows_shared(self) -> int:
        """pool, or its default where it is None."""
        return self.pool or (6 if self.may_round_products and self.model == "skipgram" else 4)

    @property
    def sharing(self) -> int:
        """Who shares negatives, and the pool, as one number, the `sharing` of reference.py section 3.1."""
        windows = self.windows_shared
        return {"pair": 0, "window": 1, "pool": windows, "batch": windows}[self.negatives_shared_by]

    @property
    def trains_batches(self) -> bool:
        """Whether the windows that share negatives train together, by ops of their own."""
        return self.negatives_shared_by == "batch" and self.negative > 0

    @property
    def may_round_products(self) -> bool:
        """Whether these are batches that read `products`, and it is bfloat16."""
        return self.trains_batches and self.device.split(":")[0] == "cpu" and self.products == "bfloat16"

    @property
    def negatives_drawn(self) -> int:
        """At a time: `negative`, or as many as are drawn for a batch."""
        if not self.trains_batches:
            return self.negative
        more = 8 if self.may_round_products and self.model == "cbow" else 4
        default = -(-(self.windows_shared + more) * self.negative // 5)
        return min(default, 1_000) if self.pool_negatives is None else self.pool_negatives

    @property
    def negative_weight(self) -> float:
        """What each that is drawn counts."""
        return self.negative / self.negatives_drawn if self.trains_batches else 1.0

    @property
    def thread_count(self) -> int:
        """threads, or the number of cores this process may use where it is None."""
        return self.threads if self.threads is not None else usable_cores()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def usable_cores() -> int:
    """Cores that this process may run on, which containers and `taskset` make fewer than the machine's. >= 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
