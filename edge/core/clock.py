"""The one clock of the process, so that tests can replace it.

All times are seconds as float; `monotonic` never goes back and is comparable only inside one process.
"""
import time

monotonic = time.monotonic
wall = time.time


def thread_cpu() -> float:
    """Processor time of the calling thread; the monotonic time where the system has none."""
    if hasattr(time, "clock_gettime"):
        return time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)
    return monotonic()
