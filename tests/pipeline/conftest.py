"""Every test of this folder also checks that it leaves no thread of the pipeline behind."""
import threading
import time

import pytest
from patience import PATIENCE_S


def ours():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("nanoface-")]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    assert ours() == []
    yield
    end = time.monotonic() + PATIENCE_S  # only for a test that held a thread on purpose and has just let it go
    while ours() and time.monotonic() < end:
        time.sleep(0.005)
    assert ours() == []
