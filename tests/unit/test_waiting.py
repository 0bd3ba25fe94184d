"""Waits with a time-out: they end when woken or in time, leave nothing behind, and do not look at the wall clock."""
import os
import threading
import time

import pytest
from patience import PATIENCE_S, wait_until

from edge.host import waiting


@pytest.fixture(params=["pipe", "no descriptor is left", "no poll() there"])
def kind(request, monkeypatch):
    """What a wait is made of; every test holds for each."""
    if request.param == "no descriptor is left":
        def full():
            raise OSError(24, "too many open files")
        monkeypatch.setattr(waiting.os, "pipe", full)
    elif request.param == "no poll() there":
        monkeypatch.delattr(waiting.select, "poll")
    return request.param


def in_thread(action):
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    return thread


def elapsed_s(action):
    began = time.monotonic()
    return action(), time.monotonic() - began


def test_an_event_wakes_all_that_wait_at_once_and_for_good(kind):
    event, woken = waiting.Event(), []
    threads = [in_thread(lambda limit_s=limit_s: woken.append(event.wait(limit_s))) for limit_s in (60.0, 60.0, None)]
    time.sleep(0.05)
    assert not woken and not event.is_set()

    event.set()

    assert all(waiting.join(thread, PATIENCE_S) for thread in threads) and woken == [True] * 3
    assert event.is_set() and elapsed_s(lambda: event.wait(60.0))[0]


@pytest.mark.parametrize("limit_s, least_s", [(0.05, 0.05), (0.0, 0.0), (-1.0, 0.0)])
def test_a_wait_that_nobody_ends_ends_in_time(kind, limit_s, least_s):
    condition = waiting.Condition()
    for wait in (waiting.Event().wait, lambda s: held(condition, lambda: condition.wait(s)),
                 lambda s: held(condition, lambda: condition.wait_for(lambda: False, s))):
        told, took_s = elapsed_s(lambda wait=wait: wait(limit_s))
        assert told is False and least_s <= took_s < PATIENCE_S


def held(condition, action):
    with condition:
        return action()


def test_notify_wakes_one_and_notify_all_the_rest(kind):
    condition, woken = waiting.Condition(), []

    def wait():
        with condition:
            woken.append(condition.wait(60.0))
    threads = [in_thread(wait) for _ in range(3)]
    wait_until(lambda: held(condition, lambda: len(condition._waiting)) == 3)
    held(condition, condition.notify)
    wait_until(lambda: len(woken) == 1)
    time.sleep(0.02)
    assert len(woken) == 1
    held(condition, condition.notify_all)
    assert all(waiting.join(thread, PATIENCE_S) for thread in threads) and woken == [True] * 3


def test_a_notification_is_neither_lost_nor_kept_for_the_next_wait(kind):
    """Whichever comes first, the end of the time or the notification: the next wait begins with nothing."""
    condition, told = waiting.Condition(), []

    def wait():
        for _ in range(200):
            with condition:
                told.append(condition.wait(0.0005))
    thread = in_thread(wait)
    while thread.is_alive():
        held(condition, condition.notify)
        time.sleep(0.0004)
    assert len(told) == 200 and not condition._waiting
    took_s = elapsed_s(lambda: held(condition, lambda: condition.wait(0.03)))
    assert took_s[0] is False and took_s[1] >= 0.03


def test_a_wait_leaves_no_descriptor_behind():
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc")
    before, event = len(os.listdir("/proc/self/fd")), waiting.Event()
    for _ in range(100):
        event.wait(0.0001)
    thread = in_thread(lambda: event.wait(60.0))
    wait_until(lambda: len(os.listdir("/proc/self/fd")) == before + 2)
    event.set()
    assert waiting.join(thread, PATIENCE_S) and len(os.listdir("/proc/self/fd")) == before


def test_an_interrupted_wait_leaves_nothing_behind():
    """A signal's handler that raises, while the main thread waits."""
    import signal

    class Interrupted(Exception):
        pass

    def interrupt(number, frame):
        raise Interrupted()
    condition, usual = waiting.Condition(), signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Interrupted):
            held(condition, lambda: condition.wait(60.0))
    finally:
        signal.signal(signal.SIGALRM, usual)
    assert not condition._waiting
    assert waiting.acquire(condition._lock, 0.0)
    condition._lock.release()


def test_join_and_acquire_return_whether_it_was_in_time():
    hold, lock = threading.Event(), threading.Lock()
    thread = in_thread(hold.wait)
    with lock:
        assert waiting.acquire(lock, 0.02) is False and waiting.join(thread, 0.02) is False
    hold.set()
    assert waiting.join(thread, PATIENCE_S) is True and waiting.acquire(lock, 0.0) is True


def test_a_lock_that_two_conditions_share_is_given_away_by_both():
    lock = threading.Lock()
    first, second = waiting.Condition(lock), waiting.Condition(lock)
    with first:
        assert first.wait(0.001) is False and lock.locked()
    with second:
        assert lock.locked() and second.wait_for(lambda: True) is True
    assert not lock.locked()
