"""`pyembed selftest`: whether a device computes what it should, and how fast."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from pyembed.cli.exits import ExitCode, exiting
from pyembed.cli.options import add_json, print_json


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "selftest",
        help="check that a device computes what it should, and measure it",
        description="Try the promises of the kernels on a device against the specification, time training steps (on a "
        "GPU beside the CPU and a model of the GPU), train the demonstration's corpus on the device and on the CPU, "
        "and print a report that can be pasted. Takes a minute or so.",
        allow_abbrev=False,
    )
    parser.add_argument("--device", default="cpu", metavar="DEVICE", help="cpu, cuda, cuda:1 (default: cpu)")
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from pyembed.ops import MachineError
    from pyembed.selftest.markdown import markdown
    from pyembed.selftest.run import selftest

    with exiting(ExitCode.USAGE, MachineError):
        report = selftest(arguments.device, announce=lambda what: print(what, file=sys.stderr))
    if arguments.json:
        print_json(report.to_dict())
    else:
        print(markdown(report), end="")
    return ExitCode.OK if report.passed else ExitCode.FAILED
