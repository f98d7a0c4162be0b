"""Whether tables fit the memory of a GPU: told with the arithmetic, before anything is allocated."""

from __future__ import annotations

import torch

_BESIDE_TABLES = 1 << 30
"""Bytes, generously: three blocks of the corpus, the tables that draws look into, the scratch of kernels."""
_SAMPLING_BYTES_A_ROW = 12  # alias table and keep threshold
_NUMBERS = {2: "two", 3: "three"}


def require_device_memory(tables: int, rows: int, columns: int, dtype: torch.dtype, device: torch.device) -> None:
    """Finds out whether so many tables [rows, columns], 2 or 3, fit, and what training needs beside them.

    Raises:
        MemoryError: they do not; the message says how much is needed and free, and what would fit.
    """
    torch.cuda.empty_cache()  # what torch keeps of tensors that are gone is free, too
    free, total = torch.cuda.mem_get_info(device)
    table = rows * columns * dtype.itemsize
    beside = _BESIDE_TABLES + rows * _SAMPLING_BYTES_A_ROW
    if tables * table + beside <= free:
        return
    room = max(0, free - _BESIDE_TABLES)
    fitting_rows = room // (tables * columns * dtype.itemsize + _SAMPLING_BYTES_A_ROW)
    fitting_columns = max(0, room - rows * _SAMPLING_BYTES_A_ROW) // (tables * rows * dtype.itemsize) // 16 * 16
    options = ["device cpu"]
    if fitting_columns > 0:
        options.insert(0, f"vector_size {fitting_columns}")
    if fitting_rows > 0:
        options.insert(0, f"max_final_vocab {fitting_rows:,} or a higher min_count")
    halved = tables * table // 2 + beside
    if dtype == torch.float32 and halved <= free:
        options.insert(0, f"table_dtype bfloat16 ({_gb(halved)})")
    raise MemoryError(
        f"{_NUMBERS[tables]} tables of {rows:,} rows and {columns} columns of {str(dtype).removeprefix('torch.')} need "
        f"{_gb(tables * table)}, training {_gb(beside)} beside them, {_gb(tables * table + beside)} in all; "
        f"{device} has {_gb(free)} free of {_gb(total)}: "
        f"choose {', or '.join(filter(None, [', '.join(options[:-1]), options[-1]]))}"
    )


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
