"""The instructions of a kernel's loops, counted in its machine code."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cuda_gates.toolkit import find

CLASSES = {
    "FFMA": r"FFMA|FFMA2",
    "FADD/FMUL": r"FADD2?|FMUL2?",
    "MUFU": r"MUFU",
    "SHFL": r"SHFL",
    "LDS": r"LDS|LDSM",
    "STS": r"STS",
    "LDG": r"LDG|LD",
    "LDGSTS": r"LDGSTS",
    "STG": r"STG|ST",
    "RED/ATOM": r"RED|REDG|ATOM|ATOMG",
    "integer": r"IMAD|IADD3?|LEA|LOP3|SHF|ISETP|SEL|IMNMX|PRMT|IABS|VIADD|VIMNMX",
    "branch": r"BRA|BSSY|BSYNC|EXIT|WARPSYNC|BREAK|CALL|RET|BRX",
}
"""Kinds of instructions, by the operations that make them up; the rest is counted in the total alone."""

_SECTION = re.compile(r"^\.text\.(\w+):$", re.MULTILINE)
_LABEL = re.compile(r"^(\.L_\w+):$")
_INSTRUCTION = re.compile(r"^\s*/\*[0-9a-f]{4,}\*/\s+(@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)(.*?);")
_TARGET = re.compile(r"`\((\.L_\w+)\)")


@dataclass(frozen=True)
class Loop:
    """From a label to a branch back to it."""

    depth: int
    """Loops around it."""
    counts: Counter[str]
    """Instructions by class; "all" is their number. Those of inner loops count too."""


class _Instruction(NamedTuple):
    operation: str
    """Without its modifiers."""
    always: bool
    """Whether no predicate can switch it off."""
    target: str
    """The label that it may jump to, or empty."""


def disassembled(cubin: Path) -> str:
    """The machine code as text, with labels."""
    command = [str(find("nvdisasm")), "--print-code", str(cubin)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def loops(text: str) -> dict[str, list[Loop]]:
    """The loops of every kernel, in the order of their first instruction.

    Code that the compiler moved behind the kernel's end, because it is rarely run, belongs to none.
    """
    return {symbol: list(_loops(*_parsed(lines))) for symbol, lines in _kernels(text)}


def _kernels(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each kernel's symbol and its lines."""
    for section in re.split(r"^//-----.*$", text, flags=re.MULTILINE):
        if found := _SECTION.search(section):
            yield found[1], section[found.end() :].splitlines()


def _parsed(lines: list[str]) -> tuple[list[_Instruction], dict[str, int]]:
    """Instructions, and the index of the one that each label stands before."""
    instructions: list[_Instruction] = []
    labels: dict[str, int] = {}
    for line in lines:
        if label := _LABEL.match(line):
            labels[label[1]] = len(instructions)
        elif found := _INSTRUCTION.match(line):
            target = _TARGET.search(found[3])
            instructions.append(_Instruction(found[2].partition(".")[0], not found[1], target[1] if target else ""))
    return instructions, labels


def _loops(instructions: list[_Instruction], labels: dict[str, int]) -> Iterator[Loop]:
    ends = [index for index, one in enumerate(instructions) if one.operation == "EXIT" and one.always]
    body = instructions[: ends[-1]] if ends else instructions
    spans: dict[int, int] = {}
    for index, one in enumerate(body):
        begin = labels.get(one.target, len(body))
        if one.operation == "BRA" and begin <= index and not any(begin <= end < index for end in ends):
            spans[begin] = max(index, spans.get(begin, 0))
    for begin, end in sorted(spans.items()):
        depth = sum(other < begin and end < spans[other] for other in spans)
        yield Loop(depth, _count(body[begin : end + 1]))


def _count(instructions: list[_Instruction]) -> Counter[str]:
    counts = Counter({"all": len(instructions)})
    for one in instructions:
        counts.update(name for name, pattern in CLASSES.items() if re.fullmatch(pattern, one.operation))
    return counts
