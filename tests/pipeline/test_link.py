"""A link hands over in order, holds one item, and wakes everybody when it ends."""
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from patience import PATIENCE_S

from edge.pipeline.link import Link, LinkClosed


def in_thread(action):
    """Run `action`; returns the thread and a list that gets its result or its exception."""
    result = []

    def body():
        try:
            result.append(action())
        except LinkClosed as e:
            result.append(e)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    return thread, result


def drained(link):
    items = []
    while True:
        try:
            items.append(link.get())
        except LinkClosed:
            return items


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=40), st.lists(st.integers(0, 3), max_size=40), st.booleans())
def test_items_come_out_in_order_and_are_either_taken_or_counted(producer_naps, consumer_naps, latest):
    dropped = []
    link = Link(latest, dropped.append)

    def produce():
        for i, nap in enumerate(producer_naps):
            time.sleep(nap * 1e-4)
            link.put(i)
        link.close()

    thread, _ = in_thread(produce)
    taken = []
    for nap in consumer_naps:
        time.sleep(nap * 1e-4)
        try:
            item = link.get(0.001)
        except LinkClosed:
            break
        taken += [] if item is None else [item]
    taken += drained(link)
    thread.join()

    assert taken == sorted(taken)
    assert sorted(taken + dropped) == list(range(len(producer_naps)))
    assert link.dropped == len(dropped)
    assert latest or not dropped
    assert not producer_naps or taken[-1] == len(producer_naps) - 1


@pytest.mark.parametrize("end, expected", [("close", ["waits"]), ("abort", [])])
def test_what_waits_still_comes_after_close_and_is_handed_back_by_abort(end, expected):
    link = Link()
    link.put("waits")

    left = getattr(link, end)()

    assert drained(link) == expected
    assert left == (["waits"] if end == "abort" else None)


@pytest.mark.parametrize("end", ["close", "abort"])
@pytest.mark.parametrize("waiting", ["get", "put", "wait_room"])
def test_the_end_wakes_the_waiting_thread(waiting, end):
    link = Link()
    if waiting != "get":
        link.put(0)
    thread, result = in_thread(lambda: link.put(1) if waiting == "put" else getattr(link, waiting)())
    time.sleep(0.02)
    assert thread.is_alive()

    getattr(link, end)()

    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert isinstance(result[0], LinkClosed)


@pytest.mark.parametrize("latest, second, dropped, taken", [(True, True, 1, "new"), (False, False, 0, "old")])
def test_a_second_item_replaces_the_first_or_finds_no_room(latest, second, dropped, taken):
    link = Link(latest)
    link.put("old")

    assert link.wait_room(0.0) is latest
    assert link.put("new", 0.001) is second
    assert (link.dropped, link.get()) == (dropped, taken)
    assert link.wait_room(0.0) is True


def test_an_empty_link_gives_none_after_the_time_out():
    assert Link().get(0.001) is None


@pytest.mark.parametrize("latest", [True, False])
def test_nobody_can_put_into_a_link_that_has_ended(latest):
    link = Link(latest)
    link.close()
    with pytest.raises(LinkClosed):
        link.put(1)


def test_a_waiting_thread_sleeps_until_something_happens():
    looks = []

    class CountingLink(Link):
        def _readable(self):
            looks.append(1)
            return super()._readable()

    link = CountingLink()
    thread, result = in_thread(link.get)
    time.sleep(0.3)
    link.put("item")
    thread.join(PATIENCE_S)

    assert result == ["item"]
    assert len(looks) <= 2
