"""Percentiles of numbers that are all at hand."""
import pytest

from edge.core.figures import median, percentile


@pytest.mark.parametrize("values, middle, p95", [
    ([7.0], 7.0, 7.0), ([3.0, 1.0], 2.0, 2.9), ([9.0, 1.0, 2.0], 2.0, 8.3), ([4, 1, 3, 2], 2.5, 3.85),
    ([-1.0] * 10 + [1.0] * 10, 0.0, 1.0), (range(101), 50.0, 95.0),
])
def test_they_lie_between_two_values_by_proportion(values, middle, p95):
    assert (median(values), percentile(values, 95.0)) == pytest.approx((middle, p95))
    assert type(median(values)) is float
    assert percentile(values, 0.0) == min(values) and percentile(values, 100.0) == max(values)
