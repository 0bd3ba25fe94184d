"""The one clock of the process, so that tests can replace it.

All times are seconds as float; `monotonic` never goes back and is comparable only inside one process.
"""
import time

monotonic = time.monotonic
wall = time.time
