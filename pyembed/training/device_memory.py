"""Whether tables fit the memory of a GPU: told with the arithmetic, before anything is allocated."""

from __future__ import annotations

import torch

_BESIDE_TABLES = 1 << 30
"""Bytes, generously: three blocks of the corpus, the tables that draws look into, the scratch of kernels."""
_SAMPLING_BYTES_A_ROW = 12  # alias table and keep threshold


def require_device_memory(rows: int, columns: int, dtype: torch.dtype, device: torch.device) -> None:
    """Finds out whether two tables [rows, columns] fit, and what training needs beside them.

    Raises:
        MemoryError: they do not; the message says how much is needed and free, and what would fit.
    """
    torch.cuda.empty_cache()  # what torch keeps of tensors that are gone is free, too
    free, total = torch.cuda.mem_get_info(device)
    table = rows * columns * dtype.itemsize
    beside = _BESIDE_TABLES + rows * _SAMPLING_BYTES_A_ROW
    if 2 * table + beside <= free:
        return
    room = max(0, free - _BESIDE_TABLES)
    fitting_rows = room // (2 * columns * dtype.itemsize + _SAMPLING_BYTES_A_ROW)
    fitting_columns = max(0, room - rows * _SAMPLING_BYTES_A_ROW) // (2 * rows * dtype.itemsize) // 16 * 16
    options = ["device cpu"]
    if fitting_columns > 0:
        options.insert(0, f"vector_size {fitting_columns}")
    if fitting_rows > 0:
        options.insert(0, f"max_final_vocab {fitting_rows:,} or a higher min_count")
    if dtype == torch.float32 and table + beside <= free:
        options.insert(0, f"table_dtype bfloat16 ({_gb(table + beside)})")
    raise MemoryError(
        f"two tables of {rows:,} rows and {columns} columns of {str(dtype).removeprefix('torch.')} need "
        f"{_gb(2 * table)}, training {_gb(beside)} beside them, {_gb(2 * table + beside)} in all; {device} has "
        f"{_gb(free)} free of {_gb(total)}: choose {', or '.join(filter(None, [', '.join(options[:-1]), options[-1]]))}"
    )


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
