"""Memory straight from the system, in pages that suit how it is used."""

from __future__ import annotations

import mmap
from contextlib import suppress

LARGE_PAGE = 2 << 20


def anonymous_memory(size: int, *, large_pages: bool) -> mmap.mmap:
    """`size` bytes of zeros, of this process alone, that cost nothing until they are touched.

    Large pages are for what is accessed all over. What is gone through from one end to the other hardly gains from
    them, and a virtual machine waits long for them where its host has taken free memory back.

    Raises:
        OSError, OverflowError: so much cannot be had.
    """
    # Not shared, as it would be by default: shared memory has no large pages unless the administrator allows them.
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    advice = getattr(mmap, "MADV_HUGEPAGE" if large_pages else "MADV_NOHUGEPAGE", None)
    if advice is not None:
        with suppress(OSError):  # a kernel without large pages: small ones work, slower
            memory.madvise(advice)
    return memory
