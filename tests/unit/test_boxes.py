"""Boxes: overlaps that are never above one, and suppression that keeps the surest of each face."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.geometry import boxes as upright

coordinates = st.integers(-200, 1000)
sides = st.integers(0, 400)


@st.composite
def some_boxes(draw, least=0, most=12):
    rows = draw(st.lists(st.tuples(coordinates, coordinates, sides, sides), min_size=least, max_size=most))
    table = np.array([(x, y, x + w, y + h) for x, y, w, h in rows], np.float32)
    return table.reshape(-1, 4)


def counted_iou(a, b):
    """By counting unit squares."""
    def squares(box):
        x0, y0, x1, y1 = (int(v) for v in box)
        return {(x, y) for x in range(x0, x1) for y in range(y0, y1)}
    shared, union = len(squares(a) & squares(b)), len(squares(a) | squares(b))
    return shared / union if union else 0.0


@pytest.mark.parametrize("a, b, iou, of_smaller", [
    ((0, 0, 10, 10), (0, 0, 10, 10), 1.0, 1.0),
    ((0, 0, 10, 10), (5, 0, 15, 10), 1 / 3, 0.5),
    ((0, 0, 10, 10), (10, 0, 20, 10), 0.0, 0.0),  # neighbours share an edge, not an area
    ((0, 0, 10, 10), (2, 2, 7, 7), 0.25, 1.0),  # one inside the other
    ((0, 0, 10, 10), (3, 3, 3, 3), 0.0, 0.0),  # an empty one
    ((3, 3, 3, 3), (3, 3, 3, 3), 0.0, 0.0),
    ((8, 8, 2, 2), (0, 0, 10, 10), 0.0, 0.0),  # edges crossed
])
def test_overlap_of_two_boxes(a, b, iou, of_smaller):
    a, b = np.array([a], np.float32), np.array([b], np.float32)
    assert upright.iou(a, b)[0, 0] == pytest.approx(iou)
    assert upright.shared_of_smaller(a, b)[0, 0] == pytest.approx(of_smaller)


def test_crossed_edges_hold_nothing():
    assert list(upright.areas(np.array([[0, 0, 3, 2], [8, 8, 2, 2], [3, 3, 3, 9]], np.float32))) == [6.0, 0.0, 0.0]


small = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6), st.integers(0, 6))


@given(small, small)
def test_overlap_is_that_of_counted_squares(a, b):
    a, b = [(x, y, x + w, y + h) for x, y, w, h in (a, b)]
    found = upright.iou(np.array([a], np.float32), np.array([b], np.float32))
    assert found[0, 0] == pytest.approx(counted_iou(a, b), abs=1e-6)


@given(some_boxes(), some_boxes())
def test_the_table_of_overlaps_is_symmetric_and_between_zero_and_one(a, b):
    table = upright.iou(a, b)
    assert table.shape == (len(a), len(b)) and table.dtype == np.float32
    assert (table >= 0).all() and (table <= 1).all()
    assert np.array_equal(table.T, upright.iou(b, a))
    assert (upright.shared_of_smaller(a, b) >= table - 1e-6).all()


@given(some_boxes(), st.floats(0.05, 0.95), st.integers(0, 8))
def test_what_stays_does_not_overlap_and_what_goes_overlaps_something_surer(boxes, most_iou, limit):
    kept = upright.nms(boxes, most_iou, limit)
    assert kept == sorted(set(kept)) and len(kept) <= limit
    table = upright.iou(boxes, boxes) > most_iou
    assert not any(table[i, j] for i in kept for j in kept if i != j)
    last = kept[-1] if len(kept) == limit and limit else len(boxes) - 1
    gone = [i for i in range(last + 1) if i not in kept] if limit else []
    assert all(any(table[i, j] for j in kept if j < i) for i in gone)


@given(some_boxes(least=1))
def test_suppression_keeps_the_surest(boxes):
    assert upright.nms(boxes, 0.3, 10)[0] == 0


def test_the_average_is_weighted_by_score_and_keeps_the_best_score():
    rows = np.array([[0, 0, 10, 10, 5, 5], [2, 0, 12, 10, 7, 5], [50, 50, 60, 60, 55, 55]], np.float32)
    merged, scores = upright.weighted_nms(rows, np.array([0.9, 0.6, 0.5], np.float32), 0.3, 10)
    assert np.allclose(merged, [[0.8, 0, 10.8, 10, 5.8, 5], [50, 50, 60, 60, 55, 55]], atol=1e-6)
    assert np.allclose(scores, [0.9, 0.5]) and merged.dtype == scores.dtype == np.float32


@given(some_boxes(), st.integers(0, 5))
def test_averages_stay_within_what_was_averaged(boxes, limit):
    scores = np.linspace(0.9, 0.5, len(boxes)).astype(np.float32)
    merged, best = upright.weighted_nms(boxes, scores, 0.3, limit)
    assert merged.shape == (len(best), 4) and len(best) <= limit and list(best) == sorted(best, reverse=True)
    if len(merged):
        assert (merged >= boxes.min(axis=0) - 1e-3).all() and (merged <= boxes.max(axis=0) + 1e-3).all()


@given(some_boxes())
def test_boxes_apart_are_not_changed_by_averaging(boxes):
    apart = boxes[upright.nms(boxes, 0.0, 20)]
    scores = np.linspace(0.9, 0.5, len(apart)).astype(np.float32)
    merged, best = upright.weighted_nms(apart, scores, 0.0, 20)
    assert np.allclose(merged, apart, atol=1e-3) and np.array_equal(best, scores)
