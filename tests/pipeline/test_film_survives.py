"""An annotated film plays to within a second of the last frame that was told as sent, whatever is killed and when."""
import os
import random
import signal
import subprocess
import sys
import time

import kills
import numpy as np
import pytest
from films_back import frames_of, times_of

from edge.core.errors import OutputError
from edge.core.packet import Frame, Packet
from edge.outputs.pictures.overlay import Overlay
from edge.outputs.pictures.video import VideoOutput
from edge.outputs.spec import parse_output

pytest.importorskip("yaml")
MOST_S = 1.0
FPS = 30.0
OLDER = b"an older film"
WRITER = """
import os, sys, time
import numpy as np
from edge.core.packet import Frame, Packet
from edge.outputs.pictures.overlay import Overlay
from edge.outputs.sender import Sender
from edge.outputs.spec import parse_output
from edge.outputs.pictures.video import VideoOutput

fps = float(sys.argv[2])
output = VideoOutput(parse_output("video:" + sys.argv[1]), True, Overlay(), lambda: fps)
sender = Sender(output, capacity=4)
sender.start()
image = np.random.RandomState(0).randint(0, 256, (240, 320, 3)).astype(np.uint8)
for i in range(100000):
    sender.put(Packet(Frame(i, 0.0, i / fps, np.roll(image, i, axis=1))))
    sent = sender.stats()["sent"]
    if sent:
        os.write(1, "{} {}\\n".format(output._encoder.pid, sent).encode())
"""


def alive(pid):
    try:
        with open("/proc/{}/stat".format(pid)) as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for(process, written, what):
    """Until it has `written`; fails where it ends before."""
    end = time.monotonic() + kills.PATIENCE_S
    while not written():
        assert process.poll() is None and time.monotonic() < end, what
        time.sleep(0.005)


def wait_for_end(pid):
    end = time.monotonic() + kills.PATIENCE_S
    while alive(pid):
        assert time.monotonic() < end, "the encoder goes on for ever"
        time.sleep(0.005)


def check(path, sent, fps, drafts=()):
    """`sent` frames were told: how many play. `drafts`: what lies there since before."""
    due_s = (sent - 1) / fps - MOST_S
    if not path.exists() or path.read_bytes() == OLDER:
        assert due_s <= 0.0
        return 0
    times, _ = times_of(path)  # old versions of ffmpeg read no duration for the last frame of a film in fragments
    shown = len(frames_of(path)) if times else 0
    assert shown / fps >= due_s and times == pytest.approx([i / fps for i in range(len(times))], abs=0.001)
    assert len(times) - 1 <= shown <= len(times)  # the last may have been half written
    assert not times or [name for name in os.listdir(str(path.parent)) if name.startswith(".")] == list(drafts)
    return shown


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
@pytest.mark.parametrize("with_encoder", [False, True], ids=["the writer", "the writer and its encoder"])
@pytest.mark.parametrize("fps", [30.0, 0.5])
def test_kill_9_of_the_writer_leaves_a_film_that_plays(tmp_path, with_encoder, fps):
    rng = random.Random(9)
    path, reported = tmp_path / "a.mp4", tmp_path / "told"
    played = 0
    for i in range(5):
        drafts = [name for name in os.listdir(str(tmp_path)) if name.startswith(".")]
        path.write_bytes(OLDER)
        if i % 2:
            path.unlink()
        with open(str(reported), "wb") as f:
            child = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(fps)], cwd=kills.ROOT, stdout=f,
                                     env=kills.environment(str(tmp_path)))
        wait_for(child, lambda: b"\n" in reported.read_bytes(), "nothing was written")
        time.sleep(rng.uniform(0.0, 0.4))
        assert child.poll() is None
        child.kill()
        encoder = int(reported.read_bytes().split()[0])
        if with_encoder:
            os.kill(encoder, signal.SIGKILL)
        child.wait()
        wait_for_end(encoder)
        played += check(path, int(reported.read_bytes().splitlines()[-1].split()[1]), fps, drafts)
    assert played > 0


def test_kill_9_of_the_encoder_ends_the_output_with_one_line(tmp_path):
    rng = random.Random(10)
    for i in range(5):
        path, last = tmp_path / "{}.mp4".format(i), rng.randint(0, 60)
        output = VideoOutput(parse_output("video:" + str(path)), True, Overlay(), lambda: FPS)
        output.open()
        sent = 0
        with pytest.raises(OutputError) as caught:
            for seq in range(200):
                output.emit(Packet(Frame(seq, 0.0, seq / FPS, np.full((48, 64, 3), seq % 256, np.uint8))))
                sent += 1
                if seq == last:
                    os.kill(output._encoder.pid, signal.SIGKILL)
        output.close()
        assert "{}.mp4: the encoder was killed by signal 9; ".format(i) in str(caught.value)
        check(path, sent, FPS)


def test_kill_9_of_a_whole_run_leaves_a_film_to_what_its_status_reported(tmp_path):
    rng, played = random.Random(11), 0
    path = tmp_path / "a.mp4"
    for _ in range(5):
        for name in (path, tmp_path / kills.STATUS):
            if name.exists():
                name.unlink()
        process = kills.start(str(tmp_path), output="video:a.mp4")
        try:
            wait_for(process, lambda: kills.read(str(tmp_path / kills.STATUS))[0], "it did not start")
            time.sleep(rng.uniform(0.2, 1.0))
            assert process.poll() is None, process.stderr.read()
        finally:
            process.kill()
            process.communicate()  # the encoder holds no end of its pipe
        sent = kills.status(str(tmp_path))["outputs"]["video:a.mp4"]["sent"]
        size = -1
        while path.exists() and size != path.stat().st_size:  # the encoder writes what it has
            size = path.stat().st_size
            time.sleep(0.2)
        played += check(path, sent, FPS) if sent else 0
    assert played > 0
