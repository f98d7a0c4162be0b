"""Damaged vector files of every format, many of them: each is read or refused, soon and in little memory.

    python tests/fuzz_formats.py --inputs 1000000 --minutes 20

Every input is a valid file with a few changes, drawn from (--seed, its number) alone, so that a failure can be had
again with --only. The readers run in this process, which may take so much memory and no more. pyarrow's files are left
out: their readers are not the project's.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from format_cases import write_cases

from pyembed.vectors.formats import ERRORS, FORMATS, VectorFileError, read

MEMORY = 48 << 20
"""Bytes beyond those of the process at the start; the files have a few thousand, and gzip makes a thousand of one."""
SECONDS = 2.0
NUMBERS = (0, 1, 2, 3, 127, 128, 255, 256, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**64 - 1)
TEXTS = (
    b"\n",
    b" ",
    b"\t",
    b"-",
    b"nan",
    b"1e999",
    b"999999999999",
    b"\xff",
    b"\0",
    b'"',
    b"{",
    b"[" * 2000,
    b"\xe2\x80",
)


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A few changes."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(9)
        if kind == 0 and data:
            data[min(at, len(data) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 1 and data:
            data[min(at, len(data) - 1)] = rng.randrange(256)
        elif kind == 2:
            del data[at:]
        elif kind == 3:
            del data[at : at + rng.choice((1, 2, 4, 8, 30))]
        elif kind == 4:
            data[at:at] = rng.randbytes(rng.choice((1, 2, 4, 8, 30)))
        elif kind == 5:
            data[at:at] = rng.choice(TEXTS)
        elif kind == 6:
            start = rng.randrange(len(data) + 1)
            data[at:at] = data[start : start + rng.choice((1, 4, 30, 300))]
        else:  # a number, most of all near the beginning, where sizes stand
            at = min(at, rng.choice((8, 64, 300, len(data))))
            width = rng.choice((1, 2, 4, 8))
            number = rng.choice((*NUMBERS, len(data), rng.getrandbits(64))) % 2 ** (8 * width)
            data[at : at + width] = number.to_bytes(width, "little")
    return bytes(data)


class Slow(Exception):
    """A reader took too long."""


def ring(*_: object) -> None:
    raise Slow


def try_input(number: int, seed: int, cases: dict[str, tuple[Path, dict[Path, bytes]]]) -> tuple[str, str]:
    """The case and the outcome: `read`, `refused`, or what went wrong."""
    rng = random.Random(seed << 40 | number)
    case = rng.choice(sorted(cases))
    path, contents = cases[case]
    changed = rng.choice(sorted(contents))
    changed.write_bytes(mutated(contents[changed], rng))
    name = case.split(".")[0]
    format = None if rng.random() < 0.2 else name if name in FORMATS else name.split("-")[0]
    mmap = format is not None and FORMATS[format].mappable and rng.random() < 0.3
    started = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        table = read(path, format=format, errors=rng.choice(ERRORS), mmap=mmap)
        assert table.vectors.dtype == np.float32
        assert table.vectors.shape == (len(table.words), table.vectors.shape[1])
        assert len(set(table.words)) == len(table.words)
        assert table.counts is None or table.counts.shape == (len(table.words),)
        with np.errstate(all="ignore"):
            table.vectors.sum()
        outcome = "read"
    except VectorFileError:
        outcome = "refused"
    except (Exception, Slow) as error:
        outcome = f"{type(error).__name__}: {error}"[:200]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        changed.write_bytes(contents[changed])
    seconds = time.perf_counter() - started
    return case, outcome if seconds < SECONDS else f"took {seconds:.1f} s"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=2_000)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one input")
    arguments = parser.parse_args()
    faulthandler.enable()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, ring)
    outcomes: Counter[tuple[str, str]] = Counter()
    failures = 0
    started = time.perf_counter()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        cases = {}
        for case, path in write_cases(Path(folder)).items():
            folder_of = path if path.is_dir() else path.parent
            cases[case] = path, {file: file.read_bytes() for file in folder_of.iterdir()}
            read(path)  # valid as it stands; and nothing is imported later
        if not sys.platform.startswith("darwin"):
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            limit = pages * resource.getpagesize() + MEMORY
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        numbers = range(arguments.inputs) if arguments.only is None else [arguments.only]
        for number in numbers:
            case, outcome = try_input(number, arguments.seed, cases)
            if outcome not in ("read", "refused"):
                failures += 1
                print(f"input {number}, {case}: {outcome}")
                outcome = "failed"
            outcomes[case, outcome] += 1
            if time.perf_counter() - started > 60 * arguments.minutes or failures > 20:
                break
    total, seconds = sum(outcomes.values()), time.perf_counter() - started
    for case in cases:
        kinds = {outcome: outcomes[case, outcome] for outcome in ("read", "refused", "failed")}
        print(f"{case:<22} " + "  ".join(f"{outcome} {count:>7,}" for outcome, count in kinds.items()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    used = f"{seconds:.0f} s, seed {arguments.seed}, peak {peak:.0f} MiB"
    print(f"{total:,} inputs in {used}: {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
