"""The event loop of an output: whatever runs in it, it is closed in time and leaves nothing behind."""
import asyncio
import gc
import threading
import time

import pytest
from patience import PATIENCE_S, wait_until

from edge.outputs.live.loop import Loop


@pytest.fixture
def loop():
    made = Loop("loop of a test").start()
    yield made
    made.close(PATIENCE_S)


async def answer(value):
    await asyncio.sleep(0)
    return value


async def fail():
    raise ValueError("as it should")


async def hang(seen=None):
    try:
        await asyncio.sleep(3600)
    finally:
        if seen is not None:
            seen.append("cancelled")


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "loop of a test"]


def test_it_gives_what_a_coroutine_returns_or_raises(loop):
    assert loop.run(answer(7), PATIENCE_S) == 7
    with pytest.raises(ValueError, match="as it should"):
        loop.run(fail(), PATIENCE_S)


def test_what_takes_too_long_is_cancelled(loop):
    seen = []
    with pytest.raises(TimeoutError, match="no answer within 0.05 s"):
        loop.run(hang(seen), 0.05)
    wait_until(lambda: seen == ["cancelled"])


def test_calls_come_in_their_order_and_in_its_thread(loop):
    seen = []
    for i in range(100):
        assert loop.call(lambda i=i: seen.append((i, threading.current_thread().name)))
    loop.run(answer(0), PATIENCE_S)
    assert seen == [(i, "loop of a test") for i in range(100)]


def test_close_cancels_what_runs_and_leaves_nothing(loop, recwarn):
    seen = []
    for _ in range(50):
        loop.spawn(hang(seen))
    assert loop.close(PATIENCE_S)
    assert loop.close(PATIENCE_S) and seen == ["cancelled"] * 50 and not threads()
    gc.collect()
    assert not [str(w.message) for w in recwarn if issubclass(w.category, (ResourceWarning, RuntimeWarning))]


def test_nothing_is_begun_after_close(loop, recwarn):
    loop.close(PATIENCE_S)
    assert not loop.call(print) and loop.spawn(answer(1)) == {}
    with pytest.raises(TimeoutError):
        loop.run(answer(1), 0.01)
    gc.collect()
    assert not [str(w.message) for w in recwarn if issubclass(w.category, RuntimeWarning)]


def test_close_while_others_begin_things_leaves_no_task(recwarn):
    def begin_many(loop):
        for _ in range(50):
            loop.spawn(hang())

    for _ in range(20):
        loop = Loop("loop of a test").start()
        busy = [threading.Thread(target=begin_many, args=(loop,)) for _ in range(4)]
        for thread in busy:
            thread.start()
        assert loop.close(PATIENCE_S)
        for thread in busy:
            thread.join()
    gc.collect()
    assert not [str(w.message) for w in recwarn if issubclass(w.category, (ResourceWarning, RuntimeWarning))]


def test_a_callback_that_blocks_does_not_hold_up_close():
    let_go = threading.Event()
    loop = Loop("loop of a test").start()
    loop.call(let_go.wait)
    assert not loop.close(0.05)
    let_go.set()
    wait_until(lambda: not threads())


def test_a_fault_that_nobody_waits_for_is_counted_and_written_nowhere(loop, capfd):
    loop.spawn(fail())
    loop.call(lambda: 1 // 0)
    wait_until(lambda: loop.faults == 2)
    assert capfd.readouterr() == ("", "")


def test_a_loop_that_was_never_started_can_be_closed():
    began = time.monotonic()
    assert Loop("loop of a test").close() and time.monotonic() - began < PATIENCE_S
