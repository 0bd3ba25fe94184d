"""How long tests wait on a machine that does something else too: one place for all of them.

What must happen is waited for with PATIENCE_S, and the test goes on as soon as it has happened. A duration that is promised
is multiplied by stretch(): a quiet machine is held to the promise, a busy one to what it can keep.
"""
import os
import time

PATIENCE_S = 120.0  # a test that waits so long has failed
BURNT_S = 0.02


def wait_until(condition, what="what the test waits for", patience_s=PATIENCE_S):
    """What made the condition true, as soon as it is."""
    end = time.monotonic() + patience_s
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, what + " did not happen"
        time.sleep(0.002)


def stretch():
    """1.0 where a core is free; else how many times longer anything may take now, twice over for what changes meanwhile."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1.0, 2.0 * max(_wanting() / cores, _slowness()))


def stretched(patience):
    """A Timeouts of a source for this machine now: a device that got no turn for a while is not lost."""
    times = stretch()
    return patience._replace(**{name: times * getattr(patience, name)
                                for name in ("first_frame_s", "again_s", "silence_s", "frozen_s", "answer_s")})


def _wanting():
    """How many programs want a core: in the last minute or now, whichever is more."""
    try:
        with open("/proc/loadavg", encoding="ascii") as f:
            minute, _, _, running = f.read().split()[:4]
        return max(float(minute), float(running.split("/")[0]))
    except OSError:
        return os.getloadavg()[0]


def _slowness():
    """Real time to CPU time of a loop, halved: 0.5 on a core of its own. It also shows what limits a container or a guest."""
    began, cpu = time.monotonic(), time.process_time()
    while time.process_time() - cpu < BURNT_S:
        pass
    return (time.monotonic() - began) / BURNT_S / 2.0
