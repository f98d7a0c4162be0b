"""Tables of 8-bit vectors, beside the exact ones."""

from __future__ import annotations

import numpy as np
import pytest

from pyembed.vectors import KeyedVectors
from pyembed.vectors.rows import FloatRows, Int8Rows


def test_tables_of_8_bits_are_close_to_the_exact_ones():
    random = np.random.default_rng(2)
    values = np.float32(random.normal(size=(500, 50)) * random.uniform(1e-3, 1e3, size=(500, 1)))
    values[7], values[8] = 0, 1e-38
    exact = KeyedVectors([f"w{row}" for row in range(500)], values)
    small = exact.quantize()
    assert small.nbytes == 500 * (50 + 4)
    np.testing.assert_allclose(small["w3"], exact["w3"], atol=np.abs(exact["w3"]).max() / 253)
    for row in range(20, 40):
        found = np.array(small.most_similar(exact[row], topn=None))
        expected = exact.most_similar(exact[row], topn=None)
        expected[8] = 0  # which has no scale among float32
        np.testing.assert_allclose(found, expected, atol=0.006)
        assert small.most_similar(exact[row], topn=1)[0][0] == f"w{row}"
    assert small.similarity("w3", "w3") == pytest.approx(1, abs=1e-6)
    assert small.similarity("w3", "w7") == 0
    assert small.distances("w3").shape == (500,)
    assert small.most_similar_batch([f"w{row}" for row in range(10)], topn=2)[9][0][1] > 0.3


def test_what_is_no_number_cannot_be_made_8_bits():
    with pytest.raises(ValueError, match="row 1: expected finite numbers"):
        KeyedVectors(["a", "b"], [[1, 2], [np.nan, 1]]).quantize()


def test_8_bit_rows_take_steps_of_their_greatest_dimension():
    rows = Int8Rows.of(FloatRows(np.float32([[1.27, -0.01, 0.004], [-254, 2, 3]])))
    np.testing.assert_allclose(rows.gather(np.array([0, 1]))[0], [[1.27, -0.01, 0], [-254, 2, 4]], atol=1e-6)
