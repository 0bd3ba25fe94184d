"""No command looks a host up, connects to one, or writes outside what is ours, whatever it loads.

Its home folder is a new one and its variables are few: with CI set, the runtimes would report nothing by themselves.
"""
import os
import socket

import pytest
import traced
from fakes import SIMULATOR
from whole_runs import DEFAULT_NETWORKS, RUNTIMES, copy_home, need_networks, need_runtime, python_path

CLI = ("-m", "edge")
STATE = os.path.join(".local", "state", "nanoface", "")
DEMO = CLI + ("run", "--source", "portrait", "--runtime")
PICTURES = ("--output", "video:demo.mp4", "--output", "image:demo.jpg", "--output", "jsonl:-")
FILES = tuple(word for target in (
    "ply:a.ply", "obj:b.obj", "depth:c.png", "uv:d.png", "mesh3d:e.mp4", "pose:f.jpg", "sparse:g.png", "ssi:h.stream",
    "ssi-box:i.stream", "ssi-events:j.annotation", "record:k.nfr") for word in ("--output", target))
SHORT = ("--max-frames", "20")
LONG = ("--realtime", "--fps", "2", "--max-frames", "30")  # ONNX Runtime 1.32 asks 9 s after it was loaded
PROGRAM = """from nanoface import Tracker
with Tracker() as tracker:
    print(sum(len(tracker(frame.image)) for frame, _ in Tracker.stream("portrait", max_frames=5)))"""
CONVERTED = ("onnx", "onnxruntime")
COMMANDS = {  # what is run: the packages that it needs, the words for Python
    "demo on OpenVINO": (("openvino",), DEMO + ("openvino",) + PICTURES),
    "demo on ONNX Runtime": (("onnxruntime",), DEMO + ("onnxruntime", "--output", "csv:demo.csv") + LONG),
    "doctor": ((), CLI + ("doctor",)),
    "models list": ((), CLI + ("models", "list")),
    "models lint": (("onnx",), CLI + ("models", "lint", "mb05")),
    "bench": ((), CLI + ("bench", "--source", "portrait", "--frames", "5", "--rounds", "1")),
    "verify": (("onnxruntime",), CLI + ("verify", "mb05")),
    "estimate": (("onnx",), CLI + ("estimate",)),
    "calibrate": (CONVERTED, CLI + ("calibrate", "fp16", "mb05", "--frames", "1")),
    "report": ((), CLI + ("report", "--seconds", "1", "--source", "portrait")),
    "pose": ((), CLI + ("pose", "portrait", "--max-frames", "5")),
    "files of others": ((), CLI + ("run", "--source", "portrait") + SHORT + FILES),
    "discover module": ((), CLI + ("discover", "module", "module")),
    "a program of others": ((), ("-c", PROGRAM)),
}


@pytest.fixture(scope="module")
def home(models_home, tmp_path_factory):
    need_runtime(*RUNTIMES)
    need_networks(models_home, *DEFAULT_NETWORKS)
    return copy_home(models_home, str(tmp_path_factory.mktemp("home") / "nanoface"), DEFAULT_NETWORKS)


def check(seen, folder, home):
    """Fails with whom a process asked, or with what lies where nothing of ours belongs."""
    assert [path for path in seen.home if not path.startswith(STATE)] == seen.temporary == []
    ours = [os.path.join(path, "") for path in (seen.done.folder, os.path.join(folder, "tmp"), home)]
    ours.append(os.path.join(folder, "home", STATE))
    strays = [path for path in seen.written if not any((path + "/").startswith(o) or o.startswith(path + "/") for o in ours)]
    assert strays == seen.asked == []


def need_tracer():
    if not traced.can_trace():
        pytest.skip("whom a process asks is seen by strace, which is not there or may not trace")


@pytest.mark.parametrize("name", list(COMMANDS))
def test_a_command_reports_to_nobody(home, name, tmp_path):
    packages, words = COMMANDS[name]
    for package in packages:
        need_runtime(package)
    seen = traced.watch(str(tmp_path), words, NANOFACE_HOME=home, ORT_DISABLE_TELEMETRY="0")
    assert seen.done.code == 0, seen.done.err
    check(seen, str(tmp_path), home)
    need_tracer()  # without it only the home folder was looked at


def test_engines_are_built_and_run_and_nothing_is_reported(home, tmp_path):
    """On the simulator: the process that builds, and the one that only loads."""
    for package in CONVERTED:
        need_runtime(package)
    board = copy_home(home, str(tmp_path / "board"), DEFAULT_NETWORKS)
    for number, words in enumerate((("build", "--only", "pose"), ("run", "--source", "portrait") + SHORT)):
        folder = str(tmp_path / str(number))
        os.mkdir(folder)
        seen = traced.watch(folder, CLI + words, NANOFACE_HOME=board, PYTHONPATH=python_path(SIMULATOR))
        assert seen.done.code == 0, seen.done.err
        check(seen, folder, board)
    need_tracer()


def test_metrics_look_up_no_name(home, tmp_path):
    """Not even this machine's own, as http.server does; nobody asks."""
    need_runtime("prometheus_client")
    need_tracer()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for number, host in enumerate(("127.0.0.1", "0.0.0.0")):
        folder = str(tmp_path / str(number))
        os.mkdir(folder)
        with open(os.path.join(folder, "metrics.yaml"), "w") as f:
            f.write("metrics: {{address: '{}:{}'}}\n".format(host, port))
        words = CLI + ("run", "--source", "portrait", "--config", f.name) + SHORT
        seen = traced.watch(folder, words, NANOFACE_HOME=home)
        assert seen.done.code == 0, seen.done.err
        check(seen, folder, home)


@pytest.mark.shared("models")
def test_networks_are_fetched_from_a_mirror_and_nothing_is_reported(home, shared, tmp_path):
    need_runtime("onnx")
    made = str(tmp_path / "made")
    seen = traced.watch(str(tmp_path), CLI + ("models", "fetch", "mb05"), NANOFACE_HOME=made,
                        NANOFACE_MIRROR=os.path.join(shared, "models"))
    assert seen.done.code == 0, seen.done.err
    check(seen, str(tmp_path), made)
    need_tracer()


def test_a_stream_is_asked_for_and_nothing_else(home, tmp_path):
    """By the process that captures, whose FFmpeg reaches it through a port of its own; nobody listens there."""
    need_tracer()
    seen = traced.watch(str(tmp_path), CLI + ("run", "--source", "http://127.0.0.2:9/x.mjpg"), NANOFACE_HOME=home)
    assert seen.done.code == 3
    asked = [line for line in seen.asked if "sin_addr=inet_addr(\"127.0.0.1\")" not in line]
    assert asked and all("sin_port=htons(9), sin_addr=inet_addr(\"127.0.0.2\")" in line for line in asked)


@pytest.mark.parametrize("code, field, found", [
    ("socket.getaddrinfo('nowhere.invalid', 80)", "asked", "/etc/resolv.conf"),
    ("socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9))", "asked", "192.0.2.1"),
    ("socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('127.0.0.1', 9))", "asked", "127.0.0.1"),
    ("threading.Thread(target=socket.create_connection, args=(('127.0.0.1', 9),)).start()", "asked", "127.0.0.1"),
    ("subprocess.call([sys.executable, '-c', 'import socket; socket.create_connection((\"127.1\", 9))'])", "asked", "127."),
    ("open(os.path.expanduser('~/stats'), 'w')", "home", "stats"),
    ("os.makedirs(os.path.expanduser('~/.cache/x/y'))", "home", ".cache/x/y"),
    ("tempfile.mkstemp('.ses')", "temporary", ".ses"),
    ("open('../elsewhere', 'a')", "written", "elsewhere"),
    ("os.mkdir('../elsewhere'), os.rmdir('../elsewhere')", "written", "elsewhere"),
    ("open('here', 'w'), os.rename('here', '../elsewhere')", "written", "elsewhere"),
])
def test_a_report_is_seen(code, field, found, tmp_path):
    """The other way round: a process that does one of these things is found out."""
    if field in ("asked", "written"):
        need_tracer()
    seen = traced.watch(str(tmp_path), ("-c", "import os, socket, subprocess, sys, tempfile, threading; " + code))
    assert any(found in what for what in getattr(seen, field)), seen
    with pytest.raises(AssertionError):
        check(seen, str(tmp_path), str(tmp_path / "none"))
