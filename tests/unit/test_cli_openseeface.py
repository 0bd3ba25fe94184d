"""The command line of OpenSeeFace's guides: what it makes of this program's configuration."""
import os
import sys
import types

import pytest

from edge.cli import main as cli
from edge.cli.commands import openseeface
from edge.cli.options import config_of
from edge.cli.table import read_words
from edge.core.errors import ConfigError
from edge.doctor import machine
from edge.sources.live.v4l2 import Camera

HERE = ("openseeface://127.0.0.1:11573",)
# every option of facetracker.py at commit dee5bb7, and how its value is written; None: it takes none
THEIRS = {
    "-i --ip": "192.0.2.7", "-p --port": "11573", "-W --width": "640", "-H --height": "360", "-F --fps": "24",
    "-c --capture": "0", "-M --mirror-input": None, "-m --max-threads": "4", "-t --threshold": "0.4",
    "-d --detection-threshold": "0.6", "-v --visualize": "0", "-P --pnp-points": "1", "-s --silent": "0", "--faces": "1",
    "--scan-retinaface": "0", "--scan-every": "3", "--discard-after": "10", "--max-feature-updates": "900",
    "--no-3d-adapt": "1", "--try-hard": "0", "--video-out": "a.avi", "--video-scale": "1", "--video-fps": "24",
    "--raw-rgb": "0", "--log-data": "", "--log-output": "", "--model": "-3", "--model-dir": "models",
    "--gaze-tracking": "1", "--face-id-offset": "0", "--repeat-video": "0", "--dump-points": "", "--benchmark": "0",
    "--use-dshowcapture": "1", "--blackmagic-options": "", "--priority": "2", "-l --list-cameras": "0",
    "-a --list-dcaps": "-1", "-D --dcap": "-1", "-B --blackmagic": "0",
}
USUAL = "-c 0 -W 1280 -H 720 --discard-after 0 --scan-every 0 --no-3d-adapt 1 --max-feature-updates 900"


@pytest.fixture(autouse=True)
def no_file(monkeypatch):
    monkeypatch.setenv("NANOFACE_CONFIG", os.devnull)


def read(line):
    args = read_words(["openseeface"] + line.split())
    return args, config_of(args)


def values(config, *keys):
    found = []
    for key in keys:
        section, _, leaf = key.partition(".")
        found.append(getattr(getattr(config, section), leaf) if leaf else getattr(config, section))
    return tuple(found)


def test_without_a_word_it_is_what_openseeface_is():
    _, config = read("")
    keys = ("source.spec", "source.width", "source.height", "source.fps", "source.flip", "tracking.max_faces", "outputs",
            "output.window")
    assert values(config, *keys) == ("0", 640, 360, 24.0, "none", 1, HERE, False)
    assert config.tracking.lost_after_s == pytest.approx(10 / 24.0)


@pytest.mark.parametrize("line, expected", [
    (USUAL, {"source.spec": "0", "source.width": 1280, "source.height": 720, "source.fps": 24.0, "tracking.lost_after_s": 0.0,
             "tracking.refresh_s": 0.0, "outputs": ("openseeface://127.0.0.1:11573?freeze_s=900.0",)}),
    ("--ip 127.0.0.1 --port 11573 " + USUAL + " --fps 30", {"source.fps": 30.0}),
    ("-c 1 -W 640 -H 480 -F 30 -v 3 -P 1 -i 192.0.2.7 --discard-after 0 --scan-every 0 --no-3d-adapt 1 "
     "--max-feature-updates 900 --use-escapi 0", {"source.spec": "1", "output.window": True,
                                                  "outputs": ("openseeface://192.0.2.7:11573?freeze_s=900.0",)}),
    ("-c 0 -F 30 -D -1 -v 3 -P 1 --discard-after 0 --scan-every 0 --no-3d-adapt 1 --max-feature-updates 900",
     {"source.fps": 30.0}),
    ("-c /dev/video2 -F 25 -v 0 -s 1 -P 1 --discard-after 0 --ip 192.0.2.7 --port 20202",
     {"source.spec": "/dev/video2", "source.width": 640, "outputs": ("openseeface://192.0.2.7:20202",)}),
    ("--visualize 3 --pnp-points 1 --max-threads 4 -c video.mp4",
     {"source.spec": "video.mp4", "source.width": None, "source.fps": None, "output.window": True}),
    ("-W 1280 -H 720 -c rtsp://192.0.2.9/cam --repeat-video 1",
     {"source.spec": "rtsp://192.0.2.9/cam", "source.width": None, "source.fps": None, "source.loop": False}),
    ("-c video.mp4 --repeat-video 1 -M", {"source.loop": True, "source.flip": "horizontal"}),
    ("-F 0", {"source.fps": None}),
    ("-t 0.3 -d 0.7 --faces 3 --scan-every 12 --discard-after 48", {
        "tracking.presence": 0.3, "tracking.detect_score": 0.7, "tracking.max_faces": 3, "tracking.refresh_s": 0.5,
        "tracking.lost_after_s": 2.0}),
    ("--gaze-tracking 0", {"models.iris": ("none",)}),
    ("--face-id-offset 10 --log-data a%b.csv", {
        "outputs": (HERE[0] + "?face_id_offset=10", "openseeface-csv:a%25b.csv?face_id_offset=10")}),
    ("--log-data osf.csv --video-out a.mp4", {"outputs": HERE + ("openseeface-csv:osf.csv", "video:a.mp4")}),
    ("--ip ::1", {"outputs": ("openseeface://[::1]:11573",)}),
    ("--output jsonl:- --status none --max-frames 5 --set tracking.presence=0.7 -t 0.2", {
        "outputs": HERE + ("jsonl:-",), "status.path": "none", "source.max_frames": 5, "tracking.presence": 0.7}),
])
def test_the_lines_of_guides_mean_here_what_they_mean_there(line, expected):
    _, config = read(line)
    assert values(config, *expected) == tuple(expected.values())


@pytest.mark.parametrize("flags, value", sorted(THEIRS.items()))
def test_every_option_of_theirs_is_taken(flags, value):
    for flag in flags.split():
        words = ["openseeface", flag] + ([] if value is None else [value])
        assert read_words(words).command == "openseeface"


def test_all_of_their_options_go_together_and_one_line_names_those_that_are_left_out():
    words = [word for flags, value in THEIRS.items() for word in (flags.split()[0], value) if word is not None]
    args = read_words(["openseeface"] + words)
    left, film = args.notes
    assert left.startswith("left out")
    assert left.partition(": ")[2].split(", ") == [word.flags.split()[-1] for word in openseeface.LEFT_OUT][:16]
    assert film == "--video-out a.avi: it is written as a.mp4"
    assert read("")[0].notes == []


def test_more_faces_than_are_tracked_are_told():
    args, config = read("--faces 36")
    assert config.tracking.max_faces == 16 and args.notes == ["--faces 36: 16 are tracked, which is the most"]


@pytest.mark.parametrize("line, said", [
    ("--port 70000", "-p: 70000 is not a whole number from 1 to 65535"), ("--port x", "x is not a whole number"),
    ("-W 2", "-W: 2 is not"), ("-t 1.5", "1.5 is not a number from 0 to 1"), ("-t nan", "nan is not"),
    ("--faces 0", "--faces: 0 is not"), ("--model 9", "--model: 9 is not"), ("--priority 6", "--priority: 6 is not"),
    ("--video-scale 5", "--video-scale"), ("--ip a/b", "--ip a/b: a/b is no host"), ("--port", "its value is missing"),
    ("--raw-rgb 1 -W 320 -H 240", "width=320 height=240 framerate=24/1"), ("--benchmark 1", "nanoface bench"),
    ("--captur 1", "did you mean --capture"), ("extra", "extra is unknown"),
])
def test_a_wrong_word_is_one_line_that_names_it(line, said):
    with pytest.raises(ConfigError) as raised:
        read(line)
    assert said in str(raised.value) and "\n" not in str(raised.value) and raised.value.exit_code == 2


@pytest.mark.parametrize("word", ["--ip", "--capture"])
def test_an_empty_word_is_a_variable_that_is_not_set(word):
    with pytest.raises(ConfigError, match=word):
        config_of(read_words(["openseeface", word, ""]))


def test_it_runs_as_nanoface_run_does(monkeypatch, capsys):
    seen = []
    app = types.ModuleType("edge.app.run")
    app.run = lambda config, stop, report: seen.append(config) or {"state": "STOPPED", "outputs": {}, "stages": {}}
    monkeypatch.setitem(sys.modules, "edge.app.run", app)
    monkeypatch.setattr("edge.app.run", app, raising=False)
    assert cli.main(["openseeface", "-c", "portrait", "-m", "2"]) == 0
    printed = capsys.readouterr()
    assert printed.err.splitlines() == ["left out, as there is nothing here that they would change: --max-threads"]
    assert printed.out.startswith("state") and seen[0].outputs == HERE
    assert cli.main(["openseeface", "-c", "portrait", "-s", "1", "-m", "2"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("line, printed", [
    ("-l 1", "0: HD Webcam\n2: Old camera\n/dev/video10 may not be opened by this user; " + machine.VIDEO_GROUP + "\n"),
    ("-l 2", "HD Webcam\nOld camera\n"),
    ("-a 2", "/dev/video2: Old camera\n"),
    ("-a -1", "/dev/video0: HD Webcam\n/dev/video2: Old camera\n/dev/video10 may not be opened by this user; "
     + machine.VIDEO_GROUP + "\n"),
])
def test_the_cameras_are_those_that_doctor_knows(tmp_path, monkeypatch, capsys, line, printed):
    (tmp_path / "dev").mkdir()
    for name in ("video0", "video1", "video2", "video10"):
        (tmp_path / "dev" / name).write_text("")
    cameras = {"video0": Camera("HD Webcam", ()), "video1": None, "video2": Camera("Old camera", ())}

    def ask(path):
        if path.endswith("video10"):
            raise PermissionError
        return cameras[os.path.basename(path)]

    here = machine.Machine({}, str(tmp_path), ask)
    monkeypatch.setattr(machine, "Machine", lambda environ: here)
    assert cli.main(["openseeface"] + line.split()) == 0
    assert capsys.readouterr().out == printed


def test_a_camera_that_is_not_there_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(machine, "Machine", lambda environ, real=machine.Machine: real(environ, str(tmp_path)))
    assert cli.main(["openseeface", "-a", "7"]) == 2
    assert "no such camera" in capsys.readouterr().err
