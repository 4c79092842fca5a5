"""NLDD and its corrected form, against values worked by hand; S, the paper's scale, makes no difference."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.audits._nldd import Margins, by_step, horizon, pooled_dd, published

# place, of, whole, cut, wrong, same
A = Margins(0, 3, whole=4.0, cut=2.0, wrong=1.0, same=1.8)
B = Margins(1, 3, whole=4.0, cut=3.0, wrong=-2.0, same=3.0)
C = Margins(1, 2, whole=1.0, cut=1.0, wrong=0.5)
NEAR_ZERO = Margins(2, 3, whole=0.05, cut=0.0, wrong=-3.0)


def test_the_published_form_by_hand() -> None:
    """(4 - 1) / 4, (4 + 2) / 4 and (1 - .5) / 1 in percent; no ratio over a margin near zero."""
    assert [published(one) for one in (A, B, C, NEAR_ZERO)] == [75.0, 150.0, 50.0, None]
    assert published(Margins(0, 1, -2.0, -2.0, -3.0)) == 50.0, "the margin of a wrong verdict counts by its size"


def test_the_corrected_form_by_hand() -> None:
    """The step's own doing: 2 - 1, 3 + 2 and 1 - .5 over 4 + 4 + 1; the control 2 - 1.8 and 0 over 4 + 4."""
    assert pooled_dd([A, B, C]) == pytest.approx(100 * 6.5 / 9)
    assert pooled_dd([A, B, C], control=True) == pytest.approx(100 * 0.2 / 8)
    assert math.isnan(pooled_dd([])) and math.isnan(pooled_dd([C], control=True))


def test_truncation_is_counted_by_the_published_form_and_not_by_ours() -> None:
    """A step that says nothing, behind which all that mattered is cut off."""
    idle = Margins(0, 4, whole=5.0, cut=0.5, wrong=0.5)
    assert published(idle) == pytest.approx(90.0)
    assert pooled_dd([idle]) == 0.0


def test_steps_and_horizon_by_hand() -> None:
    """Step 2 has 150 and 50: mean 100, deviation 70.7, error 50. The first step is no horizon, whatever it has."""
    steps = by_step([A, B, C, NEAR_ZERO])
    assert steps[0][0] == 75.0 and math.isnan(steps[0][1]) and steps[0][2] == 1
    assert steps[1] == pytest.approx((100.0, 50.0, 2))
    assert 2 not in steps
    assert horizon([A, B, C]) == 1
    assert horizon([A._replace(wrong=-90.0), C]) == 1
    assert horizon([A]) is None


@given(st.floats(0.05, 50), st.lists(st.tuples(*[st.floats(-20, 20)] * 3), min_size=1, max_size=20))
def test_a_common_scale_of_the_logits_cancels(scale: float, rows: list[tuple[float, float, float]]) -> None:
    """The paper divides both margins by S; where neither is gated nothing changes."""
    margins = [Margins(0, 1, *row) for row in rows if abs(row[0]) > 10]
    scaled = [Margins(0, 1, *(value / scale for value in one[2:5])) for one in margins]
    for one, other in zip(margins, scaled, strict=True):
        if (value := published(other)) is not None:
            assert published(one) == pytest.approx(value, rel=1e-6, abs=1e-6)
    if margins:
        assert pooled_dd(margins) == pytest.approx(pooled_dd(scaled), rel=1e-6, abs=1e-6)
