"""What libraries print while a camera is read: kept to its end, never waited for, and explained where the message is known."""
import os
import shlex
import shutil
import subprocess
import sys

import pytest
from patience import PATIENCE_S

from edge.host import commands
from edge.host.child.printed import KEPT_LINES, LONGEST_LINE
from edge.sources.child.printed import CameraLines
from edge.sources.live import gstreamer
from edge.sources.live.controls import Controls
from edge.sources.live.device import Mode
from edge.sources.live.gstreamer import CsiCamera, launch_line

SOURCE = "Error generated. /dvs/git/nvgstreamer/gst-nvarguscamera/gstnvarguscamerasrc.cpp, execute:557 "
OPENCV = "[ WARN:0] global /src/opencv/modules/videoio/src/cap_gstreamer.cpp (711) open OpenCV | GStreamer warning: "


@pytest.fixture
def lines():
    made = CameraLines()
    yield made
    made.close()


def printed(lines, text):
    os.write(lines.writer, text.encode())
    return lines.reason()


@pytest.mark.parametrize("text, first, cause", [
    (SOURCE + "No cameras available\n", "No cameras available", "ribbon cable"),
    (SOURCE + "Failed to create CaptureSession\n", "Failed to create CaptureSession", "restart nvargus-daemon"),
    ("(Argus) Error FileOperationFailed: Connecting to nvargus-daemon failed: Connection refused\n",
     "Error FileOperationFailed: Connecting to nvargus-daemon failed", "does not answer"),
    (SOURCE + "Invalid camera device specified 3 specified, 1 max index\n", "Invalid camera device specified", "csi://0"),
    (SOURCE + "Frame Rate specified is greater than supported\n", "Frame Rate specified", "--fps"),
    ("GST_ARGUS: Creating output stream\nCONSUMER: Waiting until producer is connected...\n" + SOURCE
     + "No cameras available\nGST_ARGUS: Cleaning up\nCONSUMER: Done Success\n", "No cameras available", "ribbon"),
    (OPENCV + 'Error opening bin: no element "nvarguscamerasrc"\n', "Error opening bin: no element", "nanoface doctor"),
    ("x.so: cannot allocate memory in static TLS block\n", "x.so: cannot allocate memory in static TLS", "LD_PRELOAD"),
    (OPENCV + "Embedded video playback halted; module src reported: Could not read from resource.\n",
     "Embedded video playback halted; module src reported: Could not read", ""),
    ("nvbuf_utils: Could not get EGL display connection\n", "", ""),  # harmless without a screen
    ("Setting pipeline to PAUSED ...\n", "", ""),
    ("no newline yet: Failed to create CaptureSession", "no newline yet: Failed to create", "restart nvargus-daemon"),
    ("", "", ""),
])
def test_the_line_with_the_reason_is_found_and_explained(lines, text, first, cause):
    reason = printed(lines, text)
    assert reason.startswith(first) and cause in reason and bool(reason) == bool(first)
    assert ".cpp" not in reason and "WARN" not in reason


def test_the_service_names_its_own_doctor(lines, monkeypatch):
    monkeypatch.setattr(commands, "is_installed", lambda: True)
    assert "sudo -u nanoface " + commands.INSTALLED + " doctor" in printed(lines, 'no element "nvarguscamerasrc"\n')


def test_what_another_opening_printed_is_forgotten(lines):
    assert printed(lines, "No cameras available\n")
    lines.forget()
    assert lines.reason() == ""


def test_a_process_that_prints_without_end_is_neither_waited_for_nor_kept(lines):
    line = b"an error that comes again " + b"x" * 500 + b"\n"
    with pytest.raises(BlockingIOError):
        for _ in range(10000):
            os.write(lines.writer, line)  # nobody takes it: lost, as a C library loses it
    for _ in range(50):
        lines.take()
    os.write(lines.writer, b"No cameras available\n")
    assert lines.reason().startswith("No cameras available")
    assert len(lines._lines) <= KEPT_LINES and len(lines.reason()) < LONGEST_LINE + 100


def test_a_password_in_what_was_printed_is_not_shown(lines):
    assert "geheim" not in printed(lines, "Could not open rtsp://me:geheim@host/x\n")


PIPELINES = [
    gstreamer.csi(CsiCamera(0, Mode(), controls=Controls(exposure=20.0))),
    gstreamer.rtsp_h264("rtsp://h/s?a=1&b=$HOME`id`", hardware=True),
    gstreamer.v4l2_mjpeg("/dev/video0", Mode(), hardware=False),
    gstreamer.with_appsink("videotestsrc num-buffers=2 name='a b' ! video/x-raw, format=(string)RGB"),
    "videotestsrc num-buffers=2 !videoconvert !appsink name=s drop=1",
    "videotestsrc num-buffers=2 ! tee name=t ! queue ! appsink drop=1 t. ! queue ! opencvsink",
]


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_the_line_to_try_a_pipeline_with_is_safe_in_a_shell(pipeline):
    line = launch_line(pipeline)
    words = shlex.split(line)
    assert words[0] == "gst-launch-1.0" and "sink" in words[-1] and "appsink" not in words and "drop=1" not in words
    assert subprocess.run(["sh", "-n", "-c", line]).returncode == 0
    shown = subprocess.run(["sh", "-c", line.replace("gst-launch-1.0", "printf '%s\\n'", 1)], stdout=subprocess.PIPE)
    assert shown.stdout.decode().splitlines() == words[1:]  # the shell changes nothing in them
    before = pipeline.split("appsink")[0].replace("!", " ! ").split()
    assert " ".join(words[1:]).replace("!", " ! ").split()[:len(before)] == before


def test_blanks_around_an_assignment_make_no_arguments_of_their_own():
    assert launch_line('videotestsrc name="a = b" ! appsink drop = true sync= false ! x') == (
        "gst-launch-1.0 videotestsrc 'name=\"a = b\"' '!' fakesink '!' x")


@pytest.mark.parametrize("pipeline", [p for p in PIPELINES if p.startswith("videotestsrc")])
@pytest.mark.skipif(shutil.which("gst-launch-1.0") is None, reason="needs gst-launch-1.0")
def test_the_line_runs(pipeline):
    done = subprocess.run(["sh", "-c", launch_line(pipeline)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("pipeline", [
    'rtspsrc location="rtsp://me:geheim@h/s" ! fakesink', "rtspsrc location=rtsp://me:ge@heim@h/s ! fakesink",
    "rtspsrc user-id=me user-pw=geheim location=rtsp://h ! appsink", 'rtspsrc user-pw="geheim wort" ! appsink',
    "souphttpsrc location=http://h/x?user=me&pwd=geheim ! appsink", "rtspsrc user-pw = geheim ! appsink",
])
def test_no_password_stands_in_the_line(pipeline):
    assert "heim" not in launch_line(pipeline) and "wort" not in launch_line(pipeline)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="capture in a child process needs Linux")
def test_nothing_is_left_open(lines):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        other = CameraLines()
        other.close_writer()
        other.take()
        assert other.reason() == ""
        other.close()
    assert len(os.listdir("/proc/self/fd")) == before
