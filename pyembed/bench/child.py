"""A process for one run of one program: python -m pyembed.bench.child PROGRAM JOB OUTCOME, the last two JSON files."""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import replace
from pathlib import Path

from pyembed.bench.job import Job
from pyembed.bench.programs import PROGRAMS


def main(program: str, job_file: str, outcome_file: str) -> None:
    """Runs the job on as many cores as it has threads, and writes the outcome."""
    job = Job.from_json(Path(job_file).read_text())
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job.training.thread_count])
    outcome = PROGRAMS[program].train(job)
    Path(outcome_file).write_text(replace(outcome, peak_memory=peak_memory()).to_json())


def peak_memory() -> int:
    """Bytes that this process, or one of its children, held at most.

    Linux's ru_maxrss of a process begins with what its parent held, so it serves for children of this small one alone.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    status = Path("/proc/self/status")
    if status.exists():
        (own,) = (int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    else:
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return max(own, children)


if __name__ == "__main__":
    main(*sys.argv[1:])
