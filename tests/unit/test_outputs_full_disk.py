"""A disk without room ends a film with one line; what was written plays, and nothing older is lost."""
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from fakes.recordings import records
from films_back import frames_of, times_of

from edge.core.errors import OutputError
from edge.core.packet import Frame, Packet
from edge.outputs.kinds import OutputOptions, make_output
from edge.outputs.pictures.films import film, mp4
from edge.outputs.pictures.overlay import Overlay
from edge.outputs.pictures.video import VideoOutput
from edge.outputs.sender import Sender
from edge.outputs.spec import parse_output
from edge.recording.reading import Reader

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NOISE = np.random.RandomState(0).randint(0, 256, (240, 320, 3)).astype(np.uint8)


def output(path):
    return VideoOutput(parse_output("video:" + str(path)), True, Overlay(), lambda: 30.0)


def packet(seq):
    return Packet(Frame(seq, 0.0, seq / 30.0, np.roll(NOISE, seq, axis=1)))


def write_until_it_fails(path):
    """The error, and how many frames were sent."""
    sender = Sender(output(path), capacity=2)
    sender.start()
    seq = 0
    while sender.put(packet(seq)):
        seq += 1
        assert seq < 20000
    sender.close(60.0)
    assert sender.error.exit_code == 5 and "\n" not in str(sender.error)
    return str(sender.error), sender.stats()["sent"]


def assert_plays(path, sent):
    times, _ = times_of(path)
    assert times and times == pytest.approx([i / 30.0 for i in range(len(times))], abs=0.001)
    assert len(times) >= sent - 30 and len(frames_of(path)) == len(times)
    assert [name for name in os.listdir(str(path.parent)) if name.startswith(".")] == []


def test_a_disk_that_is_nearly_full_is_reported_before_anything_is_done(tmp_path, monkeypatch):
    (tmp_path / "a.mp4").write_text("old")
    monkeypatch.setattr(film, "_free", lambda fd: film.NEEDED - 1)
    with pytest.raises(OutputError, match="a.mp4: less than 64 MB are free: free some space"):
        output(tmp_path / "a.mp4").open()
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]


def test_a_disk_that_fills_up_is_reported_before_it_is_full(tmp_path, monkeypatch):
    free = [1 << 40]
    monkeypatch.setattr(film, "_free", lambda fd: free[0])
    monkeypatch.setattr(film, "KEEP_S", 0.01)
    made = output(tmp_path / "a.mp4")
    made.open()
    sent = 0
    for _ in range(40):
        made.emit(packet(sent))
        sent += 1
    free[0] = film.RESERVE - 1
    end = time.monotonic() + 60.0
    with pytest.raises(OutputError, match="less than 16 MB are free: free some space"):
        while time.monotonic() < end:
            made.emit(packet(sent))
            sent += 1
    made.close()
    assert_plays(tmp_path / "a.mp4", sent)
    assert len(frames_of(tmp_path / "a.mp4")) >= sent


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() or subprocess.call(["mount", "-t", "tmpfs", "-o", "size=1500k", "none", str(folder)],
                                       stderr=subprocess.DEVNULL):
        pytest.skip("needs root, to mount a small disk")
    yield folder
    assert subprocess.call(["umount", "-l", str(folder)]) == 0


@pytest.mark.parametrize("older", [False, True])
def test_a_full_disk_leaves_a_film_that_plays(small_disk, monkeypatch, older):
    monkeypatch.setattr(film, "NEEDED", 0)
    monkeypatch.setattr(film, "RESERVE", 0)
    path = small_disk / "a.mp4"
    if older:
        path.write_text("old")
    error, sent = write_until_it_fails(path)
    assert "a.mp4: No space left on device: free some space" in error
    assert_plays(path, sent)


def test_a_disk_that_is_full_from_the_start_keeps_the_older_film(small_disk, monkeypatch):
    monkeypatch.setattr(film, "NEEDED", 0)
    monkeypatch.setattr(film, "RESERVE", 0)
    path = small_disk / "a.mp4"
    path.write_text("old")
    with pytest.raises(OSError), open(str(small_disk / "much"), "wb", buffering=0) as f:
        while True:
            f.write(b"x" * 4096)
    error, _ = write_until_it_fails(path)
    assert "No space left on device" in error and path.read_text() == "old"
    assert sorted(os.listdir(str(small_disk))) == ["a.mp4", "much"]


LIMITED = """
import resource, sys
sys.path[:0] = {path!r}
import test_outputs_full_disk as t
import pathlib
resource.setrlimit(resource.RLIMIT_FSIZE, (400000, 400000))
print(*t.write_until_it_fails(pathlib.Path(sys.argv[1])), sep="|")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="this system has no limit on the size of files")
def test_a_file_that_may_not_grow_leaves_a_film_that_plays(tmp_path):
    path = tmp_path / "a.mp4"
    code = LIMITED.format(path=[ROOT, os.path.join(ROOT, "tests"), os.path.join(ROOT, "tests", "unit")])
    reported = subprocess.run([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, check=True).stdout.decode()
    error, sent = reported.strip().split("|")
    assert "a.mp4: File too large" in error and 0 < path.stat().st_size <= 400000
    assert_plays(path, int(sent))


def test_a_power_cut_before_the_last_write_leaves_the_film_in_fragments(tmp_path, monkeypatch):
    """The index lies behind it already."""
    monkeypatch.setattr(film, "MOST_COPIED", 0)
    monkeypatch.setattr(mp4, "_large_mdat", lambda length: b"")
    path = tmp_path / "a.mp4"
    made = output(path)
    made.open()
    for i in range(20):
        made.emit(packet(i))
    made.close()
    assert path.read_bytes().count(b"moof") == 20 and path.read_bytes().count(b"moov") == 2
    assert_plays(path, 50)
    assert len(frames_of(path)) == 20


@pytest.mark.parametrize("older", [False, True])
def test_a_full_disk_leaves_a_recording_of_whole_frames(small_disk, older):
    path = small_disk / "a.nfr"
    if older:
        path.write_text("old")
    made = make_output(parse_output("record:{}".format(path)), OutputOptions(False, False, True, lambda: None))
    made.open()
    each, written = records(), 0
    with pytest.raises(OutputError, match="a.nfr: No space left on device: free some space or choose another place"):
        while written < 9999:
            made.emit(dict(each[1 + written % 100], frame=written))
            written += 1
    made.close()
    with open(str(path), "rb") as f:
        reader, found = Reader(f, "a.nfr"), 0
        with pytest.raises(EOFError):
            while True:
                reader.next()
                found += 1
    assert found == written > 100 and "cut off" in reader.cut and not reader.torn
