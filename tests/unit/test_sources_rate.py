"""A camera's rate: the driver has room for a frame while one is decoded; a rate that stays low is reported with its cause."""
import json
import os
import shutil
import subprocess
import sys

import pytest
from fakes.usbcamera import SameThread, UsbCamera
from patience import PATIENCE_S

from edge.sources.choose import make_source
from edge.sources.live.camera import CameraOpener
from edge.sources.live.device import DEFAULT_TIMEOUTS, Mode, Reader
from edge.sources.live.source import LiveSource
from edge.sources.live.watch import AGAIN_S, BEHIND_S, DIM_LIGHT, TOO_SLOW, Rate, Shortfall, mismatch
from edge.sources.picture import FrameTransform
from edge.sources.spec import SourceOptions

INTERVAL_S = 1 / 30.0
READ = """
import json, sys
from edge.sources.choose import make_source
from edge.sources.spec import SourceOptions
source = make_source(SourceOptions("0", process="child"))
source.open()
frames = []
while len(frames) < 100:
    frame = source.read(5.0)
    frames += [] if frame is None else [(frame.seq, frame.time_s)]
source.close()
print(json.dumps(frames))
"""


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """(camera, wanted) -> the live source that reads it, in the camera's time."""
    path = tmp_path / "video0"
    path.write_text("")

    def make(camera):
        monkeypatch.setattr("edge.core.clock.monotonic", lambda: camera.now)
        opener = CameraOpener(str(path), Mode(64, 48, 30), lambda *_: camera)
        shape = FrameTransform(SourceOptions(), scale=False)
        feed = SameThread(opener, lambda deliver: Reader(opener, shape, DEFAULT_TIMEOUTS, deliver))
        source = LiveSource(opener, shape, DEFAULT_TIMEOUTS, feed)
        source.open()
        return source
    return make


def read_for(source, camera, seconds):
    end = camera.now + seconds
    while camera.now < end:
        assert source.read(1.0) is not None


@pytest.mark.parametrize("span, decode_s", [(0.95, 0.006), (0.95, 0.025), (0.99, 0.03), (0.6, 0.006), (0.3, 0.032)])
def test_no_frame_is_lost_while_another_one_is_decoded(opened, span, decode_s):
    camera = UsbCamera(span=span, decode_s=decode_s)
    read_for(opened(camera), camera, 5.0)
    assert camera.lost == 0 and max(camera.ages_s) == pytest.approx(span * INTERVAL_S)  # no older than with one buffer


def test_frames_do_not_age_in_the_driver_where_decoding_takes_longer_than_they_do(opened):
    camera = UsbCamera(decode_s=0.04)
    read_for(opened(camera), camera, 5.0)
    assert max(camera.ages_s) < 2 * INTERVAL_S


def test_the_model_loses_every_second_frame_with_one_buffer():
    camera = UsbCamera(buffers=1)
    for _ in range(100):
        camera.grab()
        camera.retrieve()
    assert camera.lost >= 99


@pytest.mark.parametrize("camera, told", [
    ({}, ""),
    ({"fps": 28.0}, ""),
    ({"fps": 15.0}, "15 of 30 frames per second from the camera: " + DIM_LIGHT),
    ({"fps": 10.0, "decode_s": 0.03}, "10 of 30 frames per second from the camera: " + TOO_SLOW),
    ({"decode_s": 0.06}, "17 of 30 frames per second from the camera: " + TOO_SLOW),
    ({"fps": 15.0, "agreed_fps": 15.0}, ""),  # no more than it said
    ({"fps": 5.0, "agreed_fps": 15.0}, "5 of 15 frames per second from the camera: " + DIM_LIGHT),
    ({"agreed_fps": 60.0}, ""),  # it was asked for 30
    ({"fps": 15.0, "agreed_fps": 0.0}, "15 of 30 frames per second from the camera: " + DIM_LIGHT),  # it does not tell
])
def test_a_camera_below_its_rate_is_reported_with_the_likely_cause(opened, camera, told):
    camera = UsbCamera(**camera)
    source = opened(camera)
    read_for(source, camera, BEHIND_S - 1)
    assert source.doubt == ""
    read_for(source, camera, 5.0)
    assert source.doubt == told and (told in source.warning if told else "camera:" not in source.warning)
    assert ("--set camera.exposure=" in source.warning) is (DIM_LIGHT in told)


def test_what_is_reported_stays_the_same_until_the_rate_is_kept_again():
    shortfall, told = Shortfall(), []
    for n, fps in enumerate([30, 15, 30, 15, 15, 14, 15, 15, 17, 30, 15, 30, 30, 30]):
        rate = Rate()
        rate.fps = fps
        shortfall.add(Rate.WINDOW_S * n, rate, 30.0)
        told.append(shortfall.slow.reason[:2])
    assert told == [""] * 6 + ["15"] * 6 + [""] * 2
    assert AGAIN_S == 2 * Rate.WINDOW_S and BEHIND_S == 4 * Rate.WINDOW_S


@pytest.mark.parametrize("size, agreed_fps, words", [
    ((640, 480), None, ""), ((640, 480), 29.0, ""), ((640, 480), 15.0, "15 frames per second instead of 30"),
    ((320, 240), 10.0, "320x240 instead of 640x480 and 10 frames"),
])
def test_what_the_camera_does_not_have_is_reported(size, agreed_fps, words):
    assert words in mismatch(Mode(), size, agreed_fps) and bool(words) == bool(mismatch(Mode(), size, agreed_fps))


@pytest.mark.parametrize("rotate, wanted", [(0, (640, 480, 30)), (90, (480, 640, 30)), (180, (640, 480, 30))])
def test_a_ribbon_camera_has_a_rate_to_keep_too(rotate, wanted):
    assert tuple(make_source(SourceOptions("csi://0", rotate=rotate))._opener.wanted) == wanted
    rate = Rate()
    rate.fps, shortfall = 15.0, Shortfall()
    for at in (0.0, BEHIND_S):
        shortfall.add(at, rate, 30.0, steady=True)
    assert TOO_SLOW in shortfall.slow.reason  # its exposure keeps to the rate


def test_the_rate_is_measured_over_two_seconds():
    rate = Rate()
    for i in range(61):
        assert rate.add(i / 20.0, i, 0.01 * i) is (i == 40)
        assert (rate.fps is None) == (i < 40)
    assert rate.fps == pytest.approx(20.0) and rate.work_s == pytest.approx(0.01)


@pytest.mark.shared("cases/camera")
@pytest.mark.skipif(not (shutil.which("gcc") and shutil.which("unshare") and hasattr(os, "geteuid") and os.geteuid() == 0),
                    reason="needs gcc, unshare and root")
def test_opencv_and_a_model_of_the_driver_give_every_frame(shared):
    """By the driver's own times and the count of what was grabbed, so that what waits later on this machine is no matter."""
    rates = []
    for _ in range(3):  # a machine that stands still for a moment loses frames
        done = subprocess.run(
            [os.path.join(shared, "cases", "camera", "with_camera.sh"), sys.executable, "-c", READ],
            env=dict(os.environ, FAKEUVC_SPAN="0.95", FAKEUVC_DECODE_MS="6", PYTHONPATH=os.getcwd()),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE_S)
        assert done.returncode == 0, done.stderr.decode()
        (first, began), (last, ended) = [json.loads(done.stdout.decode())[n] for n in (0, -1)]
        rates.append((last - first) / (ended - began))
        if rates[-1] > 29.0:
            break
    assert max(rates) == pytest.approx(30.0, abs=1.0)
