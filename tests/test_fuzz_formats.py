"""A short run of fuzz_formats.py; its long ones are made by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("fuzz_formats.py")


def test_damaged_files_of_every_format_are_read_or_refused_soon_and_in_little_memory():
    command = [sys.executable, SCRIPT, "--inputs", "4000", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=SCRIPT.parent.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4,000 inputs" in done.stdout
    assert "0 failures" in done.stdout
