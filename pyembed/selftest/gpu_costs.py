"""What the CUDA kernels that train cost for each word, counted: csrc/kernels/cuda/train_windows.cuh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pyembed.config import Model, TableDtype, TrainConfig, WriteBack
from pyembed.reference import PER_PAIR

_SECTOR = 32
_ATOMIC = 2.0
"""Time in the second-level cache, in that of reads of as many bytes."""
_WRITE = {
    ("float32", "add"): 26,
    ("float32", "store"): 20,
    ("bfloat16", "add"): 114,
    ("bfloat16", "store"): 40,
}
"""Instructions that write 128 columns of a row back."""

# csrc/kernels/cuda/warp_layout.h
_COLUMNS_AT_ONCE = 128
_TILE_CONTEXTS, _TILE_OUTPUTS, _ERROR_PITCH, _DRAWS_AHEAD = 5, 6, 8, 8


@dataclass(frozen=True)
class Setting:
    """What is trained, and how."""

    model: Model = "skipgram"
    dimensions: int = 128
    """D."""
    window: int = 5
    negative: int = 5
    sharing: int = 1
    """reference.py section 3.1."""
    shrink_windows: bool = True
    table_dtype: TableDtype = "float32"
    write_back: WriteBack = "add"
    sentence: int | None = None
    """Tokens in each sentence; None: so many that its ends do not matter."""
    rows: int | None = None
    """V, words of the vocabulary; None: more than any cache holds."""
    frequent: float = 0.0
    """Share of tokens that are of frequent words, 0 to 1: corpus.tables.frequent_words. By Zipf's law 0.4 at sample
    1e-3, 0.25 at 1e-4."""

    @classmethod
    def of(
        cls, config: TrainConfig, *, sentence: int | None = None, rows: int | None = None, frequent: float = 0.0
    ) -> Setting:
        return cls(
            model=config.model,
            dimensions=config.vector_size,
            window=config.window,
            negative=config.negative,
            sharing=config.sharing,
            shrink_windows=config.shrink_windows,
            table_dtype=config.table_dtype,
            write_back=config.write_back,
            sentence=sentence,
            rows=rows,
            frequent=frequent,
        )

    @property
    def columns(self) -> int:
        """D as tables pad it."""
        return -(-self.dimensions // 16) * 16

    @property
    def row_bytes(self) -> int:
        return self.columns * (4 if self.table_dtype == "float32" else 2)

    @property
    def outputs(self) -> int:
        return 1 + self.negative

    @property
    def steps(self) -> float:
        """Into which the training of a window falls: its pairs, where each has its own negatives."""
        return self.contexts if self.sharing == PER_PAIR and self.model == "skipgram" else 1.0

    @property
    def radii(self) -> range:
        """Of windows, each as likely as another."""
        return range(1 if self.shrink_windows else self.window, self.window + 1)

    @property
    def contexts(self) -> float:
        """Mean number of contexts: radius and place in the sentence are uniform."""
        radii = self.radii
        if self.sentence is None:
            return 2 * sum(radii) / len(radii)
        places = range(self.sentence)
        sums = (min(radius, place) + min(radius, self.sentence - 1 - place) for radius in radii for place in places)
        return sum(sums) / (len(radii) * self.sentence)


class Cost(NamedTuple):
    """Of one trained word."""

    rows_read: float
    rows_written: float
    memory_bytes: float
    """Rows read and written, and the word's id."""
    atomic_additions: float
    """Of float32, or of four bfloat16 at a time."""
    l2_bytes: float
    """In bytes read: atomic additions take longer."""
    shared_bytes: float
    """Read from and written to shared memory."""
    operations: float
    """Floating-point operations that the algorithm needs."""
    instructions: float
    """Of a warp."""


def cost_of(setting: Setting) -> Cost:
    """What one trained word costs."""
    rows_read, rows_written = _rows_read(setting), _rows_written(setting)
    read, written = rows_read * setting.row_bytes, rows_written * setting.row_bytes
    adds = setting.write_back == "add"
    # Adding to bfloat16 reads the row again before it is compared and swapped.
    read_again = written if adds and setting.table_dtype == "bfloat16" else 0
    at_once = 1 if setting.table_dtype == "float32" else 4
    aliases = (rows_read - 2 - _rows_refreshed(setting)) * _SECTOR
    return Cost(
        rows_read=rows_read,
        rows_written=rows_written,
        memory_bytes=read + written - _cached_rows(setting) * setting.row_bytes + 4,
        atomic_additions=rows_written * setting.columns / at_once if adds else 0,
        l2_bytes=read + read_again + aliases + 4 + written * (_ATOMIC if adds else 1),
        shared_bytes=_shared_traffic(setting),
        operations=_operations(setting),
        instructions=sum(parts(setting).values()),
    )


def shared_bytes(setting: Setting) -> int:
    """Of one warp: csrc/kernels/cuda/warp_layout.h."""
    D, W, K = setting.columns, setting.window, setting.negative
    adds, pooled, cbow = setting.write_back == "add", setting.sharing > 1, setting.model == "cbow"
    slots, tiles = 2 * W + 2, _output_tiles(setting)
    contexts, outputs = -(-2 * W // _TILE_CONTEXTS) * _TILE_CONTEXTS, tiles * _TILE_OUTPUTS  # whole tiles
    arrays = (
        slots * D,
        slots * D * adds,
        (2 * K + 2) * D,
        K * D * (adds and pooled),
        2 * W * _COLUMNS_AT_ONCE * (not cbow and tiles > 1),
        D * cbow,
        outputs if cbow else tiles * 2 * W * _ERROR_PITCH,
        *(contexts,) * 2,
        *(outputs,) * 2,
        2 * (1 + K),
        _DRAWS_AHEAD * K,
    )
    return 4 * sum(-(-words // 4) * 4 for words in arrays)


def parts(setting: Setting) -> dict[str, float]:
    """Instructions of a warp for one window, by what they are for."""
    K, C, steps = setting.negative, setting.contexts, setting.steps
    at_once = C / steps if C else 0.0  # contexts that are trained together
    chunks = -(-setting.columns // _COLUMNS_AT_ONCE)
    tiles = _output_tiles(setting)
    pools = steps if setting.sharing == PER_PAIR else 1 / setting.sharing
    draws = -(-_DRAWS_AHEAD * ((K + 1) // 2) // 32) / _DRAWS_AHEAD
    narrow = setting.table_dtype == "bfloat16"
    write = _WRITE[setting.table_dtype, setting.write_back] * chunks
    if setting.model == "cbow":
        training = {
            "sum of contexts": chunks * (60 + 38 * C),
            "scores": tiles * (160 + 98 * chunks),
            "updates": chunks * (60 + 19 * C),
        }
    else:
        context_tiles = steps if setting.sharing == PER_PAIR else _context_tiles(setting)
        training = {
            "scores": context_tiles * tiles * (234 + 174 * chunks),
            "updates": steps * tiles * chunks * (60 + (68 if tiles == 1 else 81) * at_once),
        }
    return {
        "walk": 200 + 420 * steps,
        "draws": 190 * draws * pools,
        "rows sent for": 50 + 15 * chunks + pools * K * (29 + 15 * chunks),
        "rows widened": (2 + pools * K) * (30 + 20 * chunks) * narrow,
        "rows kept as they came": (20 + 10 * chunks) * (setting.write_back == "add"),
        "contexts chosen": 11 * (steps + C),
        **training,
        "rows written": _rows_written(setting) * write + 45,
        "rows of frequent words": 15 + _rows_refreshed(setting) * (70 + 15 * chunks),
    }


def _rows_refreshed(setting: Setting) -> float:
    """Contexts of frequent words, which go back and come anew after each window."""
    return setting.frequent * setting.contexts


def _rows_read(setting: Setting) -> float:
    """The token that comes within reach, the center's output, and negatives, or a window's share of its pool's."""
    negatives = setting.negative * (setting.steps if setting.sharing == PER_PAIR else 1 / setting.sharing)
    return 2 + _rows_refreshed(setting) + negatives


def _rows_written(setting: Setting) -> float:
    """As many as read, but for a center that every pair of a window writes back, and frequent words that leave."""
    return _rows_read(setting) + (setting.steps - 1) - setting.frequent


def _cached_rows(setting: Setting) -> float:
    """Transfers of rows of frequent words: those that come and go after each window, and those that come first."""
    return 2 * _rows_refreshed(setting) + setting.frequent


def _context_tiles(setting: Setting) -> float:
    """Mean number of tiles of contexts; the ends of sentences are left out of account."""
    return sum(-(-2 * radius // _TILE_CONTEXTS) for radius in setting.radii) / len(setting.radii)


def _output_tiles(setting: Setting) -> int:
    return -(-setting.outputs // _TILE_OUTPUTS)


def _operations(setting: Setting) -> float:
    """2 D for a pair's score with an output, 4 D for the two updates; CBOW also sums and scatters C rows."""
    pairs = setting.contexts if setting.model == "skipgram" else 1
    sums = 2 * setting.contexts if setting.model == "cbow" else 0
    return (6 * setting.outputs * pairs + sums) * setting.dimensions


def _shared_traffic(setting: Setting) -> float:
    """Rows arrive, are read for scores and updates, and leave; float32 whatever the table."""
    C, N, steps, adds = setting.contexts, setting.outputs, setting.steps, setting.write_back == "add"
    if setting.model == "cbow":
        touched = 3 * C + 2 * N + 2
    else:
        tiles = steps if setting.sharing == PER_PAIR else _context_tiles(setting)
        touched = tiles * _output_tiles(setting) * (_TILE_CONTEXTS + _TILE_OUTPUTS) + steps * N + 2 * C
    kept = 3 * adds  # what a row was when it came: written, and read with the row when it leaves
    return (touched + _rows_read(setting) + 1 + kept) * setting.columns * 4
