"""A live device in a process of its own, and every fault of such a device."""
import glob
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from fakes.pipeline import FakeSender, FakeStage, run
from fakes.standin import Prepared, StandIn, WithMode
from patience import stretch, stretched, wait_until

from edge.core.errors import SourceError
from edge.sources.child.parent import ChildBackend
from edge.sources.live.backend import ThreadBackend
from edge.sources.live.device import DEFAULT_TIMEOUTS, Timeouts
from edge.sources.live.source import LiveSource
from edge.sources.picture import FrameTransform
from edge.sources.spec import SourceOptions

HERE = os.path.dirname(os.path.abspath(__file__))
QUICK = Timeouts(first_frame_s=8.0, silence_s=0.3, retry_s=0.05, retry_max_s=0.2, failed_read_s=0.01, changed_s=0.1,
                 frozen_s=0.3, answer_s=0.3)
NOTICED_S, RECOVERED_S = 3.0, 5.0  # what is promised
SLACK_S = 2.0  # beside what a busy machine makes of it
PLAIN = FrameTransform(SourceOptions(), scale=False)

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="capture in a child process needs Linux")


@pytest.fixture
def device(tmp_path, monkeypatch):
    """The file that controls the device."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([HERE, os.path.dirname(HERE)]))  # where the child finds the stand-in
    path = tmp_path / "device"
    path.write_text("works")
    return path


def does(device, what):
    """In one piece: the child reads it all the time."""
    new = str(device) + ".new"
    with open(new, "w") as f:
        f.write(what)
    os.replace(new, str(device))


def live(device, timeouts=QUICK, wait=False, opener=None):
    opener, timeouts = opener or StandIn(device), stretched(timeouts)
    return LiveSource(opener, PLAIN, timeouts, ChildBackend(opener, PLAIN, timeouts), wait)


@pytest.fixture
def opened(device):
    source = live(device)
    source.open()
    yield source
    source.close()


def next_frame(source):
    found = []
    wait_until(lambda: found.append(source.read(0.02)) or found[-1] is not None)
    return found[-1]


def read_until(source, condition):
    """Go on reading; the frames that came."""
    frames = []

    def look():
        frames.append(source.read(0.02))
        return condition()
    wait_until(look)
    return [frame for frame in frames if frame is not None]


def children():
    """Process numbers of ours that still run; what has ended and nobody waited for counts."""
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as f:
                if int(f.read().rsplit(")", 1)[1].split()[1]) == os.getpid():
                    found.append(int(path.split("/")[2]))
        except OSError:
            pass  # it has ended meanwhile
    return sorted(found)


def possessions():
    """What a source may leave behind: descriptors, threads, processes, mapped memory, files. Threads that are ending, also
    those of the test before, have two seconds for it on a machine that does nothing else.
    """
    end = time.monotonic() + 2.0 * stretch()
    while threading.active_count() > 1 and time.monotonic() < end:
        time.sleep(0.02)
    with open("/proc/self/maps") as f:
        mapped = sum("nanoface-" in line for line in f)
    return (len(os.listdir("/proc/self/fd")), threading.active_count(), children(), mapped,
            glob.glob("/dev/shm/nanoface-*"))


def gone(pid):
    try:
        with open("/proc/{}/stat".format(pid)) as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"  # nobody waits for it
    except OSError:
        return True


def released(device):
    try:
        return os.path.getsize(str(device) + ".released")
    except OSError:
        return 0


def strike(device, source, fault):
    if fault.startswith("SIG"):
        os.kill(source._backend.pid, getattr(signal, fault))
    else:
        does(device, fault)


def test_frames_come_through_shared_memory_numbered_timed_and_sealed(device):
    before = possessions()
    source = live(device)
    source.open()
    frames = [next_frame(source) for _ in range(5)]
    child = source._backend.pid
    assert children() == before[2] + [child] and os.getsid(child) != os.getsid(0)  # Ctrl-C is not for it
    now = time.monotonic()
    assert all(b.seq > a.seq and b.time_s > a.time_s and b.image[0, 0, 0] != a.image[0, 0, 0]
               for a, b in zip(frames, frames[1:]))
    for frame in frames:
        assert (frame.image == frame.seq + 1).all() and frame.image.shape == (48, 64, 3)
        assert now - 5 * stretch() < frame.captured_at < now and not frame.image.flags.writeable and frame.image.flags.owndata
    assert (source.fps, source.lost_since, source.absent, source.trouble, source.doubt) == (100.0, None, False, "", "")
    source.close()
    source.close()
    with pytest.raises(EOFError):
        source.read(0.1)
    assert possessions() == before and released(device) == 1


# fault, whether the process has to be replaced, a word of what is told
FAULTS = [
    ("unplugged", False, "no camera at stand-in"), ("hangs in grab", True, "no picture"),
    ("hangs in retrieve", True, "no picture"), ("empty", False, "damaged pictures"), ("torn", False, "damaged pictures"),
    ("exits", True, "has ended (exit code 7)"), ("SIGSTOP", True, "no picture"), ("SIGKILL", True, "signal 9"),
]


@pytest.mark.parametrize("fault, replaced, told", FAULTS)
def test_each_fault_is_noticed_reported_and_survived(device, fault, replaced, told):
    before = possessions()
    source = live(device)
    source.open()
    last = next_frame(source)
    child = source._backend.pid
    strike(device, source, fault)
    last = (read_until(source, lambda: told in source.trouble) or [last])[-1]
    assert source.lost_since == last.captured_at and not source.absent
    does(device, "works")
    after = next_frame(source)
    assert after.seq > last.seq and after.time_s > last.time_s and after.captured_at > last.captured_at
    assert (source.lost_since, source.trouble, source.hung) == (None, "", 0)
    assert (source._backend.pid != child) is replaced and gone(child) is replaced
    source.close()
    assert possessions() == before


def test_the_daemon_of_a_camera_whose_reader_was_killed_is_named(device, monkeypatch):
    monkeypatch.setenv("NANOFACE_ARGUS_REQUEST", str(device) + "/nowhere/x")
    source = live(device, opener=WithMode(device))
    source.open()
    next_frame(source)
    does(device, "hangs in grab")
    assert read_until(source, lambda: source.trouble) is not None and "nvargus" not in source.trouble
    does(device, "unplugged")
    read_until(source, lambda: source.trouble.endswith("sudo systemctl restart nvargus-daemon"))
    assert source._backend.killed == 1 and source.trouble.startswith("no camera at stand-in; ")
    source.close()


@pytest.fixture
def slow(device, monkeypatch):
    """A device whose preparation goes on until a test ends it, and is reported at once."""
    does(device, "prepares")
    monkeypatch.setattr("edge.sources.live.source.REPORT_AFTER_S", 0.0)
    monkeypatch.setenv("NANOFACE_ARGUS_REQUEST", str(device) + ".argus")
    return device


@pytest.mark.parametrize("make", [ChildBackend, ThreadBackend])
@pytest.mark.parametrize("wait", [False, True])
def test_what_prepares_an_opening_is_reported_not_counted_and_not_ended(slow, caplog, make, wait):
    opener, timeouts = Prepared(slow), QUICK._replace(first_frame_s=0.4)
    source = LiveSource(opener, PLAIN, timeouts, make(opener, PLAIN, timeouts), wait)
    outcome = []
    opening = threading.Thread(target=lambda: outcome.append(source.open()))
    opening.start()
    try:
        if wait:
            opening.join()
            read_until(source, lambda: source.trouble)
            assert source.trouble == "a list is made, once" and source.absent
        wait_until(lambda: source._backend.preparing and caplog.messages)
        until = time.monotonic() + 3 * timeouts.first_frame_s
        if wait:
            read_until(source, lambda: time.monotonic() > until)
        else:
            time.sleep(3 * timeouts.first_frame_s)
        assert source._backend.error is None and source._backend.hung == source._backend.killed == 0
        assert caplog.messages == ["stand-in: a list is made, once"]
    finally:
        does(slow, "works")
    opening.join()
    assert outcome == [None] and next_frame(source).seq >= 0
    assert not source.absent and source.trouble == "" and not os.path.exists(str(slow) + ".argus")
    source.close()


def test_a_run_that_is_stopped_meanwhile_ends_at_once(slow, caplog):
    before, stop, outcome = possessions(), threading.Event(), []
    source = live(slow, opener=Prepared(slow))
    running = threading.Thread(target=lambda: outcome.append(run(source, [[FakeStage("a")]], [FakeSender()], stop)))
    running.start()
    wait_until(lambda: "a list is made" in caplog.text)
    began = time.monotonic()
    stop.set()
    running.join()
    assert time.monotonic() - began < (2.0 + SLACK_S) * stretch() and outcome[0].error is None and children() == before[2]


def test_what_prepares_an_opening_has_a_limit_that_grows_and_the_daemon_is_not_blamed(slow, monkeypatch):
    monkeypatch.setattr("edge.sources.live.source.PREPARE_S", 0.2)
    with pytest.raises(SourceError, match="stand-in: not ended within 0.2 s: a list is made, once"):
        live(slow, opener=Prepared(slow)).open()
    source = live(slow, wait=True, opener=Prepared(slow))
    source.open()
    read_until(source, lambda: "not ended within 0.4 s" in source.trouble)
    assert "nvargus" not in source.trouble and not os.path.exists(str(slow) + ".argus")
    does(slow, "works")
    assert next_frame(source) is not None
    source.close()
    assert children() == []


class Explained(StandIn):
    explained = True


@pytest.mark.parametrize("wait", [False, True])
def test_what_the_libraries_print_is_part_of_the_trouble(device, wait):
    before = possessions()
    does(device, "prints Error generated. gst/x.cpp, execute:557 No cameras available")
    source = live(device, wait=wait, opener=Explained(device))
    if wait:
        source.open()
        for _ in range(3):  # of each opening anew
            read_until(source, lambda: source.trouble)
            assert source.trouble.startswith("stand-in does not start; No cameras available (") and source.absent
        does(device, "unplugged")
        read_until(source, lambda: source.trouble == "no camera at stand-in")
        does(device, "works")
        assert next_frame(source) is not None and source.trouble == ""
    else:
        with pytest.raises(SourceError, match="^No cameras available .*ribbon.*does not start$"):
            source.open()
    source.close()
    assert possessions() == before
    with pytest.raises(SourceError, match="^stand-in does not start$"):  # of other devices it explains nothing
        does(device, "prints No cameras available")
        live(device).open()


def test_a_device_that_prints_without_end_is_no_fault_of_ours(device):
    does(device, "prints without end")
    source = live(device, QUICK._replace(first_frame_s=1.0), wait=True, opener=Explained(device))
    source.open()
    read_until(source, lambda: source.trouble)
    does(device, "works")
    assert next_frame(source) is not None
    source.close()
    assert children() == []


def test_a_torn_picture_among_good_ones_is_dropped_and_counted(device, opened):
    first = next_frame(opened)
    does(device, "torn")
    read_until(opened, lambda: opened._backend.damaged > 0)
    does(device, "works")
    after = next_frame(opened)
    assert after.image.shape == first.image.shape and after.seq > first.seq + 1


def test_another_size_is_opened_anew_and_reported(device):
    source = live(device, opener=WithMode(device))
    source.open()
    assert next_frame(source).image.shape == (48, 64, 3) and "instead" not in source.warning
    does(device, "another size")
    frames = read_until(source, lambda: "the picture changed from 64x48 to 32x24" in source.trouble)
    assert all(frame.image.shape == (48, 64, 3) for frame in frames) and source.lost_since is not None
    assert next_frame(source).image.shape == (24, 32, 3)
    assert source.trouble == "" and "32x24 instead of 64x48" in source.warning
    source.close()


def test_a_picture_that_stands_still_is_doubted_opened_once_and_then_watched(device, opened):
    next_frame(opened)
    does(device, "frozen")
    read_until(opened, lambda: opened.doubt == "picture does not change" and released(device))
    end = time.monotonic() + 4 * QUICK.frozen_s
    read_until(opened, lambda: time.monotonic() > end and opened.doubt)
    assert released(device) == 1 and opened.lost_since is None and opened.trouble == ""
    does(device, "works")
    read_until(opened, lambda: opened.doubt == "")
    assert released(device) == 1


def test_a_slow_device_is_not_a_lost_one(device):
    source = live(device, QUICK._replace(silence_s=1.5))
    source.open()
    does(device, "slow")
    frames = [next_frame(source) for _ in range(4)]
    assert frames[-1].captured_at - frames[-2].captured_at > 0.25 and source.lost_since is None and not source.trouble
    source.close()


@pytest.mark.parametrize("what, told", [("unplugged", "there is no camera"), ("hangs in open", "no picture within")])
def test_a_device_that_is_not_there_at_the_start_is_an_error_or_is_waited_for(device, what, told):
    before = possessions()
    does(device, what)
    timeouts = QUICK._replace(first_frame_s=1.0)
    source = live(device, timeouts)
    with pytest.raises(SourceError, match=told):
        source.open()
    assert possessions() == before
    waiting = live(device, QUICK._replace(first_frame_s=1.5), wait=True)
    waiting.open()
    assert read_until(waiting, lambda: waiting.absent) == [] and waiting.trouble and waiting.lost_since is None
    does(device, "works")
    assert next_frame(waiting).seq == 0 and not waiting.absent and waiting.trouble == ""
    waiting.close()
    assert possessions() == before


@pytest.mark.parametrize("what", ["hangs in grab", "hangs in release", "SIGSTOP"])
def test_close_comes_back_in_time_whatever_the_device_does(device, what):
    before = possessions()
    source = live(device)
    source.open()
    strike(device, source, what)
    next_frame(source)
    time.sleep(0.1)
    began = time.monotonic()
    source.close()
    assert time.monotonic() - began < (1.3 + SLACK_S) * stretch() and possessions() == before


def test_close_from_another_thread_frees_a_reader(device, opened):
    next_frame(opened)
    closer = threading.Timer(0.1, opened.close)
    closer.start()
    with pytest.raises(EOFError):
        while True:
            opened.read(5.0)
    closer.join()
    assert children() == []


def test_a_pipeline_goes_on_through_faults_as_promised(device):
    """With the real times, in one process, frames in order, every fault a state with its reason."""
    source, stop, sender = live(device, DEFAULT_TIMEOUTS), threading.Event(), FakeSender()
    states, late = [], []

    def seen(word):
        wait_until(lambda: states and word in states[-1][1])

    def script():
        for fault, told in (("unplugged", "no camera at stand-in"), ("hangs in grab", "no picture"), ("SIGKILL", "lost")):
            wait_until(lambda: states and states[-1][0] == "RUNNING" and sender.items)
            began, count = time.monotonic(), len(sender.items)
            strike(device, source, fault)
            seen("source lost")
            noticed = time.monotonic()
            seen(told)
            count = len(sender.items)
            does(device, "works")
            cured = time.monotonic()
            wait_until(lambda n=count: len(sender.items) > n)
            late.append((fault, noticed - began, time.monotonic() - cured))
        stop.set()

    director = threading.Thread(target=script)
    director.start()
    outcome = run(source, [[FakeStage("a")]], [sender], stop, on_state=lambda state, reason: states.append((state, reason)))
    director.join()
    assert outcome.error is None and states[-1] == ("STOPPED", "stop requested")
    assert len(late) == 3 and outcome.frames == sorted(set(outcome.frames))
    for fault, noticed_s, recovered_s in late:
        assert noticed_s < (NOTICED_S + SLACK_S) * stretch() and recovered_s < (RECOVERED_S + SLACK_S) * stretch(), fault
    assert children() == []


PARENT = """
import sys, time
from fakes.standin import StandIn
from edge.sources.child.parent import ChildBackend
from edge.sources.live.source import DEFAULT_TIMEOUTS, LiveSource
from edge.sources.picture import FrameTransform
from edge.sources.spec import SourceOptions
opener, shape = StandIn(sys.argv[1]), FrameTransform(SourceOptions(), scale=False)
source = LiveSource(opener, shape, DEFAULT_TIMEOUTS, ChildBackend(opener, shape, DEFAULT_TIMEOUTS))
source.open()
print(source._backend.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("what", ["works", "hangs in grab", "SIGSTOP"])
def test_the_child_ends_when_its_parent_is_killed(device, what):
    path = os.pathsep.join([os.path.dirname(os.path.dirname(HERE)), os.path.dirname(HERE)])
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(device)], stdout=subprocess.PIPE,
                              env=dict(os.environ, PYTHONPATH=path))
    pid = int(parent.stdout.readline())
    if what == "SIGSTOP":
        os.kill(pid, signal.SIGSTOP)
    else:
        does(device, what)
    time.sleep(0.1)
    assert not gone(pid)
    parent.kill()
    parent.wait()
    began = time.monotonic()
    wait_until(lambda: gone(pid))
    parent.stdout.close()
    assert time.monotonic() - began < (1.0 + SLACK_S) * stretch() and (what == "hangs in grab" or released(device) == 1)
