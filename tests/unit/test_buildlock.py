"""Builds and trackers take turns, also when one of them is killed."""
import os
import signal
import subprocess
import sys

import pytest

from edge.core.errors import EngineError
from edge.host.disk import one_builder
from edge.store import lock
from engines.build.context import refuse_beside_tracker

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TRACK = """
import sys
from edge.store.lock import tracking
with tracking(sys.argv[1], lambda: print("waits", flush=True), lambda: False):
    print("tracks", flush=True)
    sys.stdin.read()
"""


def never():
    return False


@pytest.fixture
def home(tmp_path):
    pytest.importorskip("fcntl")
    (tmp_path / "plans").mkdir()
    return str(tmp_path)


@pytest.fixture
def tracker(home):
    """Starts trackers in processes of their own."""
    started = []

    def start():
        process = subprocess.Popen([sys.executable, "-c", TRACK, home], env=dict(os.environ, PYTHONPATH=ROOT),
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True)
        started.append(process)
        return process
    yield start
    for process in started:
        process.kill()
        process.communicate()


def no_wait():
    pytest.fail("waited")


def test_a_build_is_refused_while_somebody_tracks_and_allowed_when_that_one_was_killed(home, tracker):
    first, second = tracker(), tracker()  # trackers do not disturb each other
    assert [first.stdout.readline(), second.stdout.readline()] == ["tracks\n", "tracks\n"]
    assert lock.in_use(home)
    with pytest.raises(EngineError, match="sudo systemctl stop nanoface"):
        refuse_beside_tracker(home)
    for process in (first, second):
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not lock.in_use(home)
    refuse_beside_tracker(home)
    with one_builder(os.path.join(home, "plans"), no_wait):
        pass


def test_a_tracker_waits_for_the_end_of_a_build(home, tracker):
    with one_builder(os.path.join(home, "plans"), no_wait):
        assert not lock.in_use(home)  # another build is a matter of one_builder
        process = tracker()
        assert process.stdout.readline() == "waits\n"
    assert process.stdout.readline() == "tracks\n"


def test_a_tracker_that_is_asked_to_stop_waits_no_longer(home):
    said = []
    with one_builder(os.path.join(home, "plans"), no_wait):
        with lock.tracking(home, lambda: said.append("waits"), lambda: bool(said)):
            assert said == ["waits"]


def test_where_nothing_was_ever_built_nothing_is_locked_or_made(tmp_path):
    with lock.tracking(str(tmp_path), no_wait, never):
        assert not lock.in_use(str(tmp_path))
    assert os.listdir(str(tmp_path)) == []
