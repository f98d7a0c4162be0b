"""`python -m pyembed` is the command `pyembed`."""

from __future__ import annotations

import sys

from pyembed.cli import main

if __name__ == "__main__":  # worker processes import this file again
    sys.exit(main())
