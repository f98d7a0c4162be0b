"""Lines of words and numbers: the compiled reader and its Python twin agree, and round as exact arithmetic does."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyembed import compiled_text
from pyembed.vectors.formats import python_lines
from pyembed.vectors.formats.vector_lines import Fault

LARGEST = Fraction(float(np.finfo(np.float32).max))


def compiled_lines(*arguments):
    if compiled_text.native is None:
        pytest.skip(f"the compiled reader is missing: {compiled_text.NATIVE_ERROR}")
    return compiled_text.native.vector_lines(*arguments)


READERS = pytest.mark.parametrize("reader", [compiled_lines, python_lines.vector_lines], ids=["compiled", "python"])


def nearest_float32(text: str) -> np.float32:
    """The slow twin: the candidate nearest to the exact value, of two equally near the even one."""
    exact = Fraction(text)
    half_step = Fraction(2) ** 103
    if abs(exact) >= LARGEST + half_step:
        return np.float32("inf") if exact > 0 else np.float32("-inf")
    start = np.float32(max(-float(LARGEST), min(float(LARGEST), float(exact))))
    with np.errstate(over="ignore"):
        around = [start, *(np.nextafter(start, np.float32(end)) for end in (-np.inf, np.inf))]
    candidates = [value for value in around if np.isfinite(value)]
    return min(candidates, key=lambda value: (abs(Fraction(float(value)) - exact), int(value.view(np.uint32)) & 1))


def read_numbers(reader, texts: list[str]) -> np.ndarray:
    _, _, vectors, *_ = reader(" ".join(texts).encode(), len(texts), " ", False, False, 1)
    return vectors[0]


@st.composite
def awkward_decimals(draw: st.DrawFn) -> str:
    """Half-way between two float32, or a little beside it."""
    bits = draw(st.integers(1, 0x7F7FFFFE))
    low, high = (Fraction(float(np.uint32(bits + step).view(np.float32))) for step in (0, 1))
    with localcontext() as context:
        context.prec = 250
        middle = (low + high) / 2
        text = f"{Decimal(middle.numerator) / Decimal(middle.denominator):f}"
    digits = draw(st.integers(5, 200))
    text = text[:digits] if "." in text[:digits] else text
    return draw(st.sampled_from(["", "-"])) + text + draw(st.sampled_from(["", "1", "0000000000000000000000000001"]))


plain_decimals = st.from_regex(
    r"[+-]?([0-9]{1,12}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?", fullmatch=True
)


@READERS
@given(text=st.one_of(awkward_decimals(), plain_decimals))
@example(text="1e-400")
@example(text="1e400")
@example(text="-" + "9" * 400)
@example(text="0." + "0" * 400 + "1")
@example(text="1" + "0" * 400 + "e-400")
@example(text="0." + "0" * 400 + "1e401")
@example(text="3.4028235677973366e38")
@example(text="3.4028235677973365e38")
@example(text="1.00000005960464477539062500001")
@example(text="0.0000000000000000000000000000000000000000000413383046975821")
def test_numbers_round_once(reader, text):
    (found,) = read_numbers(reader, [text])
    expected = nearest_float32(text)
    assert found == expected, (found, expected)
    assert np.signbit(found) == text.startswith("-")


@READERS
def test_numbers_that_are_none(reader):
    found = read_numbers(reader, ["nan", "-inf", "+Infinity", "NaN", "-0", "1.", ".5", "+2"])
    np.testing.assert_array_equal(found, np.float32([np.nan, -np.inf, np.inf, np.nan, -0.0, 1, 0.5, 2]))
    for text in ["", "-", "+-1", "--1", "0x1", "1_0", "1e", "e5", ".", "nan(1)", "1,5", "infinit", "1d", "\u0661"]:
        words, _, _, total, faults, fault = reader(f"w 1 {text} 1\n".encode(), 3, " ", True, False, 1)
        assert (words, total, faults) == ([], 1, 1), text
        assert Fault(*fault).message(3, " ", True) == f"expected a number in dimension 1, found {text.encode()!r}"


@pytest.mark.parametrize("any_bytes", [False, True])
@pytest.mark.parametrize("has_word", [False, True])
@pytest.mark.parametrize("separator", [" ", "\t"])
@given(
    block=st.lists(
        st.sampled_from([b"a", b"1", b"-2.5", b" ", b"\t", b"\n", b"\r", b"\xc3", b"\xa9", b"e", b" 3"])
    ).map(b"".join),
    dimensions=st.integers(1, 3),
    threads=st.integers(1, 3),
)
def test_compiled_and_python_agree_on_any_block(block, dimensions, threads, separator, has_word, any_bytes):
    arguments = (block, dimensions, separator, has_word, any_bytes, threads)
    words, replaced, vectors, *rest = compiled_lines(*arguments)
    twin_words, twin_replaced, twin_vectors, *twin_rest = python_lines.vector_lines(*arguments)
    assert (words, replaced, rest) == (twin_words, twin_replaced, twin_rest)
    assert vectors.shape == twin_vectors.shape
    np.testing.assert_array_equal(vectors.view(np.uint32), twin_vectors.view(np.uint32))


@READERS
def test_nothing_depends_on_threads(reader):
    block = b"".join(b"w%d %d.5 -%d\n" % (row, row, row) for row in range(1000))
    first = reader(block, 2, " ", True, False, 1)
    for threads in (2, 7):
        found = reader(block, 2, " ", True, False, threads)
        assert found[0] == first[0]
        np.testing.assert_array_equal(found[2], first[2])


@READERS
def test_a_lying_number_of_dimensions_takes_no_memory(reader):
    for has_word in (False, True):
        words, _, vectors, total, faults, fault = reader(b"a 1 2\n" * 3, 10**15, " ", has_word, False, 1)
        assert (words, total, faults, vectors.shape) == ([], 3, 3, (0, 10**15))
        assert Fault(*fault)[:3] == (0, 1, 3)
