"""The command line: exit codes, what goes to which stream, signals, and that no mistake ends in a trace."""
import json
import os
import re
import signal
import subprocess
import sys
import time
import types

import pytest
from in_process import InProcess
from patience import PATIENCE_S

from edge.app import run as app
from edge.cli import main as cli
from edge.cli import options as command_options
from edge.cli import reporter
from edge.cli import table as options
from edge.cli.commands.run import OUTPUT_OPTIONS
from edge.cli.commands.status import age_of
from edge.config.rules import RULES
from edge.core import errors
from edge.core.errors import ConfigError, EngineError, FrameError, ModelError, OutputError, SourceError
from edge.core.roles import NETWORKS
from edge.host.stop import SAME_PRESS_S, Stop, stopped_by_signals

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RECORD = {
    "schema": 1, "at": "2026-11-21T03:20:11.402Z", "uptime_s": 125.0, "state": "RUNNING", "reason": "",
    "source": "portrait", "fps": {"capture": 30.0, "output": 29.9}, "faces": 1,
    "latency_ms": {"p50": 31.0, "p95": 38.2, "max": 55.1},
    "stages": {"detect": {
        "count": 150, "dropped": 0, "skipped": 141, "wait_ms": {"p50": 0.1, "p95": 0.2, "max": 0.4},
        "work_ms": {"p50": 1.2, "p95": 1.9, "max": 3.0}, "backend": "onnxruntime", "model": "yunet_s"}},
    "outputs": {},
}
# a tracker that stands in for edge.app.run: what it does is the text of RUN
STANDS_IN = """
import sys, time, types
from edge.cli.main import main
from edge.core.errors import *
app = types.ModuleType("edge.app.run")
def run(config, stop, report):
    RECORD = {record!r}
    {body}
    return RECORD
app.run = run
sys.modules["edge.app.run"] = app
sys.exit(main(sys.argv[1:]))
"""


def environment(folder, **more):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("NANOFACE_", "XDG_", "OPENBLAS_", "OMP_"))}
    env.update(PYTHONPATH=ROOT, NANOFACE_HOME=str(folder / "home"), XDG_STATE_HOME=str(folder / "state"),
               NANOFACE_CONFIG=os.devnull, COLUMNS="100")
    env.update(more)
    return env


@pytest.fixture
def call(tmp_path, capfd):
    """call(word ...) -> exit code, standard output, standard error, without a process of its own."""
    def now(*words, **more):
        done = InProcess(tmp_path, capfd)(*words, **more)
        return done.code, done.out, done.err
    return now


@pytest.fixture
def call_with(call, monkeypatch):
    """The same with a tracker whose run is `body`, or that cannot be loaded."""
    def now(body, *words, **more):
        def run(config, stop, report):
            names = dict(vars(errors), RECORD=json.loads(json.dumps(RECORD)), report=report, sys=sys)
            exec(body, names)
            return names["RECORD"]
        monkeypatch.setattr(app, "run", run)
        return call(*words, **more)
    return now


def start_with(folder, body, *words, **more):
    """`nanoface` with a tracker whose run is `body`."""
    script = STANDS_IN.format(record=RECORD, body=body)
    return start(folder, [sys.executable, "-c", script] + list(words), **more)


def start(folder, command, **more):
    return subprocess.Popen(command, cwd=str(folder), env=environment(folder, **more), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)


def finish(process, timeout_s=PATIENCE_S):
    out, err = process.communicate(timeout=timeout_s)
    return process.returncode, out, err


def one_line(err):
    assert "Traceback" not in err
    lines = err.strip().split("\n")
    assert len(lines) == 1 and lines[0].startswith("nanoface: "), err
    return lines[0]


@pytest.mark.parametrize("words, parts", [
    ([""], ["A word is missing", "run, pose, status, models, bench, doctor"]),
    (["rnu"], ["rnu is unknown", "did you mean run"]),
    (["frobnicate"], ["frobnicate is unknown", "there are run, pose, status"]),
    (["--verbos"], ["--verbos is unknown", "see nanoface --help"]),
    (["-x"], ["-x is unknown"]),
    (["run", "--sorce", "portrait"], ["--sorce is unknown", "did you mean --source?", "see nanoface run --help"]),
    (["run", "--sorce=portrait"], ["did you mean --source?"]),
    (["run", "--out", "jsonl:-"], ["--out is unknown"]),
    (["portrat"], ["portrat is unknown", "did you mean portrait"]),
    (["-clip.mp4"], ["-clip.mp4 is unknown", "see nanoface --help"]),
    (["run", "clip.mp4", "--source", "b.mp4"], ["clip.mp4 and --source b.mp4 both name a source"]),
    (["bench", "--source", "b.mp4", "--json", "clip.mp4"], ["clip.mp4 and --source b.mp4 both name a source"]),
    (["run", "--source", "a.jpg", "b.jpg", "--landmarks", "c.jpg"], ["c.jpg and --source 'a.jpg b.jpg' both name a source"]),
    (["run", ""], ["a word is empty: is a variable not set?"]),
    (["run", "--source", ""], ["--source: source.spec is the text ''", "a camera, file, folder or address"]),
    (["run", "--config", ""], ["a word is empty"]),
    (["run", "--loop=1"], ["--loop: it takes no value, and '1' was given"]),
    (["run", "--set", ""], ["--set '': write KEY=VALUE"]),
    (["run", "--size", "6 x 4"], ["--size '6 x 4': write WIDTHxHEIGHT"]),
    (["run", "--" + "x" * 5000], ["--" + "x" * 58 + "... is unknown"]),
    (["--max-frames=" + "9" * 5000], ["--max-frames stands before the command"]),
    (["x" * 5000], ["x" * 60 + "... is unknown"]),
    (["models", "fetch", ""], ["a word is empty"]),
    (["status", ""], ["a word is empty"]),
    (["doctor", ""], ["a word is empty"]),
    (["build", "--tune", "--list"], ["--list: not allowed with --tune"]),
    (["calibrate", "fp32"], ["calibrate fp32 is unknown", "there are fp16"]),
    (["--verbose"], ["--verbose stands before the command: write nanoface run --verbose"]),
    (["--verbose", "status"], ["--verbose stands before the command: write nanoface status --verbose"]),
    (["--"], ["-- stands before the command"]),
    (["help", "rnu"], ["nanoface rnu is unknown", "did you mean run?"]),
    (["help", "models", "ftch"], ["nanoface models ftch is unknown", "did you mean fetch?"]),
    (["help", "run", "fetch"], ["nanoface help run takes no word fetch"]),
    (["help", "--al"], ["--al is unknown"]),
    (["version", "2"], ["2 is unknown"]),
    (["completion"], ["nanoface completion what?", "bash, zsh, fish"]),
    (["completion", "bsh"], ["did you mean bash?"]),
    (["completion", "bash", "zsh"], ["takes no word zsh"]),
    (["run", "--fps"], ["--fps: its value is missing"]),
    (["run", "--source"], ["--source: its value is missing"]),
    (["run", "--fps", "fast"], ["--fps: source.fps is the text 'fast'", "a number from 0.1 to 1000"]),
    (["run", "--fps", "0"], ["--fps: source.fps is 0"]),
    (["run", "--fps", "nan"], ["--fps: source.fps is nan"]),
    (["run", "--start", "-5"], ["--start: source.start_s is -5"]),
    (["run", "--start", "9", "--end", "3"], ["source.end_s 3 is not after source.start_s 9"]),
    (["run", "--size", "640"], ["--size 640", "640x480"]),
    (["run", "--size", "8x640"], ["--size: source.width is 8", "16 to 16384"]),
    (["run", "--rotate", "45"], ["--rotate: source.rotate is 45", "0, 90, 180, 270"]),
    (["run", "--flip", "vertcal"], ["--flip", "did you mean vertical"]),
    (["run", "--every-frame", "--realtime"], ["--realtime", "not allowed with"]),
    (["run", "--realtime", "--source", "a.jpg"], ["realtime", "a.jpg", "pictures"]),
    (["run", "--realtime", "--source", "a.jpg", "b.jpg"], ["realtime", "a.jpg,b.jpg", "pictures"]),
    (["run", "--realtime", "--sequence"], ["realtime", "sequence"]),
    (["run", "--max-faces", "17"], ["--max-faces: tracking.max_faces is 17", "1 to 16"]),
    (["run", "--max-frames", "1.5"], ["--max-frames: source.max_frames is 1.5", "a whole number"]),
    (["run", "--detector", "yunet"], ["--detector: models.detect", "did you mean yunet_"]),
    (["run", "--detector", "mb05"], ["mb05 is a network for pose"]),
    (["run", "--detector", "none"], ["detect cannot be switched off"]),
    (["run", "--runtime", "openvin"], ["--runtime", "did you mean openvino"]),
    (["run", "--workers", "detect"], ["--workers: pipeline.workers", "align is named nowhere"]),
    (["run", "--fov", "200"], ["--fov: camera.fov_deg is 200"]),
    (["run", "--status-interval", "0"], ["--status-interval: status.interval_s is 0"]),
    (["run", "--set", "tracking.presence"], ["--set tracking.presence", "KEY=VALUE"]),
    (["run", "--set", "tracking.presense=1"], ["--set", "did you mean tracking.presence?"]),
    (["run", "--set", "tracking=1"], ["tracking is a section"]),
    (["run", "--set", "tracking.presence=2"], ["--set: tracking.presence is 2"]),
    (["run", "--set", "=2"], ["there is no key"]),
    (["run", "--config", "absent.yaml"], ["absent.yaml (--config) does not exist"]),
    (["run", "--config", "."], ["cannot be read"]),
    (["status", "--config", "absent.yaml"], ["absent.yaml"]),
    (["status", "absent.jsonl"], ["there is no status log absent.jsonl", "nanoface run"]),
    (["status", "."], [". is a folder"]),
    (["status", "a", "b"], ["b is unknown"]),
    (["status", "--set", "status.path=none"], ["switched off"]),
    (["models"], ["models what?", "list, fetch, check"]),
    (["models", "lst"], ["did you mean list"]),
    (["models", "list", "--all"], ["--all", "fetch"]),
    (["models", "check", "mb05"], ["names", "fetch"]),
    (["bench", "--frames", "101"], ["--frames", "101 is not a whole number from 1 to 100"]),
    (["bench", "--rounds", "-1"], ["--rounds", "-1"]),
    (["bench", "--output", "jsonl:-"], ["--output is unknown"]),
    (["doctor", "now"], ["now is unknown"]),
    (["doctor", "--set", "models.detect=x"], ["models.detect"]),
], ids=" ".join)
def test_wrong_words_are_one_line_and_exit_code_2(call, words, parts):
    code, out, err = call(*words)
    assert (code, out) == (2, "")
    line = one_line(err)
    for part in parts:
        assert part in line


def test_a_wrong_file_is_one_line_and_exit_code_2(tmp_path, call):
    (tmp_path / "my.yaml").write_text("tracking:\n  max_face: 2\n")
    code, _, err = call("run", "--config", "my.yaml")
    assert code == 2
    assert "my.yaml:2: there is no key tracking.max_face; did you mean tracking.max_faces?" in one_line(err)
    code, _, err = call("doctor", NANOFACE_CONFIG="my.yaml")
    assert code == 2 and "my.yaml:2" in one_line(err)


@pytest.mark.parametrize("words, same_as", [
    ([], ["--help"]), (["help"], ["--help"]), (["-h"], ["--help"]), (["--help", "rnu"], ["--help"]),
    (["help", "run"], ["run", "-h"]), (["help", "models", "fetch"], ["models", "--help"]), (["help", "help"], ["help", "-h"]),
    (["version"], ["--version"]),
], ids=" ".join)
def test_help_and_version_are_words_too_and_no_word_at_all_shows_the_help(call, words, same_as):
    code, out, err = call(*words)
    assert (code, err) == (0, "") and out and call(*same_as) == (0, out, "")


@pytest.mark.parametrize("command", [[]] + [[name] for name in options.COMMANDS])
def test_help_has_an_example_and_ends_with_0(call, command):
    code, out, err = call(*(command + ["--help"]))
    assert (code, err) == (0, "")
    assert "example:\n  nanoface " in out and all(len(line) <= 100 for line in out.split("\n"))


def test_examples_of_the_help_are_words_that_are_understood(tmp_path, capsys):
    seen = 0
    for name in options.COMMANDS:
        with pytest.raises(SystemExit):
            options.read_words([name, "--help"])
        for line in capsys.readouterr().out.split("example:\n")[1].strip().split("\n"):
            program, command, rest = (line.split() + [""])[0], line.split()[1], line.split()[2:]
            assert program == "nanoface"
            assert options.read_words([command] + rest).command == command
            seen += 1
    assert seen >= len(options.COMMANDS)


def test_version_is_printed(call):
    from edge import __version__

    assert call("--version") == (0, "nanoface {}\n".format(__version__), "")


def test_importing_the_command_line_loads_nothing_heavy(tmp_path):
    heavy = ("numpy", "cv2", "yaml", "onnxruntime", "openvino")
    code = "import sys, edge.cli.main; print([m for m in {} if m in sys.modules])".format(heavy)
    assert finish(start(tmp_path, [sys.executable, "-c", code])) == (0, "[]\n", "")


@pytest.mark.parametrize("given, expected", [({}, "1 1"), ({"OMP_NUM_THREADS": "3"}, "1 3")])
def test_blas_gets_one_thread_unless_the_user_says_otherwise(call_with, monkeypatch, given, expected):
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    body = "import os; report('note', os.environ['OPENBLAS_NUM_THREADS'] + ' ' + os.environ['OMP_NUM_THREADS'])"
    code, _, err = call_with(body, "run", **given)
    assert code == 0 and err.strip() == expected


def words_to_config(words):
    from edge.config.load import load_config

    args = options.read_words(["run"] + words)
    overrides, spelled = command_options.overrides_of(args.settings)
    return load_config(args.config, overrides, {"NANOFACE_CONFIG": os.devnull}, spelled)


def source_of(words):
    args = options.read_words(words)
    return args.command, command_options.overrides_of(args.settings)[0].get("source.spec")


@pytest.mark.parametrize("words, source", [
    (["clip.mp4"], "clip.mp4"), (["absent/clip"], "absent/clip"), (["0"], "0"), (["/dev/video2"], "/dev/video2"),
    (["rtsp://10.0.0.9/x"], "rtsp://10.0.0.9/x"), (["csi://0"], "csi://0"), (["gst:a ! b"], "gst:a ! b"),
    (["portrait"], "portrait"), (["Portrait"], "Portrait"), (["*.jpg"], "*.jpg"), (["a.jpg", "b.jpg"], ["a.jpg", "b.jpg"]),
    (["kept"], "kept"), (["./status"], "./status"), (["./0"], "./0"), (["gr\xfc\xdfe"], "gr\xfc\xdfe"),
    (["run", "status"], "status"), (["run", "clip.mp4", "--loop"], "clip.mp4"), (["run", "--loop", "clip.mp4"], "clip.mp4"),
    (["run", "a.jpg", "--sequence", "b.jpg", "--landmarks", "c.jpg"], ["a.jpg", "b.jpg", "c.jpg"]),
    (["run", "--landmarks", "clip.mp4"], "clip.mp4"),
    (["run", "--landmarks", "68", "clip.mp4"], "clip.mp4"),
    (["--landmarks", "all", "clip.mp4"], "clip.mp4"),
    (["run", "--landmarks", "0"], "0"),
    (["clip.mp4", "--output", "jsonl:-"], "clip.mp4"), (["--output", "jsonl:-", "clip.mp4"], "clip.mp4"),
    (["--source", "clip.mp4"], "clip.mp4"), (["--source=0", "--loop"], "0"), (["--", "-clip.mp4"], "-clip.mp4"),
    (["run", "--loop", "--", "-clip.mp4"], "-clip.mp4"), (["run", "--", "a.jpg", "--loop"], ["a.jpg", "--loop"]),
    (["--set", "source.spec=0"], "0"), (["bench", "--json", "clip.mp4"], "clip.mp4"),
], ids=" ".join)
def test_a_word_that_looks_like_a_source_is_tracked(tmp_path, monkeypatch, words, source):
    monkeypatch.chdir(tmp_path)
    for name in ("kept", "gr\xfc\xdfe", "status"):
        (tmp_path / name).write_bytes(b"")
    assert source_of(words) == ("bench" if words[0] == "bench" else "run", source)
    assert options.read_words(["status"]).command == "status"  # a command wins over a file of its name


@pytest.mark.parametrize("words, key, value", [
    (["--source", "0"], "source.spec", "0"),
    (["--source", "a.jpg", "b.jpg"], "source.spec", "a.jpg,b.jpg"),
    (["--size", "640x480"], "source.width", 640),
    (["--size", "640x480"], "source.height", 480),
    (["--fps", "29.97"], "source.fps", 29.97),
    (["--flip", "both"], "source.flip", "both"),
    (["--rotate", "270"], "source.rotate", 270),
    (["--loop"], "source.loop", True),
    (["--start", "1.5"], "source.start_s", 1.5),
    (["--end", "3"], "source.end_s", 3.0),
    (["--every-frame"], "source.pace", "every-frame"),
    (["--realtime"], "source.pace", "realtime"),
    (["--sequence"], "source.sequence", True),
    (["--max-frames", "10"], "source.max_frames", 10),
    (["--fov", "78"], "camera.fov_deg", 78.0),
    (["--intrinsics", "cam.json"], "camera.intrinsics", "cam.json"),
    (["--detector", "rfb320"], "models.detect", ("rfb320",)),
    (["--detector", "rfb320, yunet_s"], "models.detect", ("rfb320", "yunet_s")),
    (["--aligner", "facemesh_pth"], "models.align", ("facemesh_pth",)),
    (["--pose", "none"], "models.pose", ("none",)),
    (["--iris", "none"], "models.iris", ("none",)),
    (["--runtime", "onnxruntime"], "models.runtime", "onnxruntime"),
    (["--max-faces", "16"], "tracking.max_faces", 16),
    (["--no-smoothing"], "smoothing.enabled", False),
    (["--workers", "detect | align+pose+iris | express"], "pipeline.workers", "detect | align+pose+iris | express"),
    (["--output", "jsonl:-", "--output", "video:a.mp4"], "outputs", ("jsonl:-", "video:a.mp4")),
    (["--output", "jsonl:-", "--set", "outputs=window"], "outputs", ("jsonl:-", "window")),
    (["--landmarks"], "output.landmarks", True),
    (["--landmarks", "468"], "output.landmarks", True),
    (["--landmarks", "68"], "output.landmarks", 68),
    (["--landmarks=68", "--mirror"], "output.landmarks", 68),
    (["--landmarks", "all"], "output.landmarks", "all"),
    (["--landmarks", "--mirror"], "output.landmarks", True),
    (["--landmarks=false"], "output.landmarks", False),
    (["--landmarks", "portrait"], "output.landmarks", True),
    (["--set", "output.landmarks=68"], "output.landmarks", 68),
    (["--mirror"], "output.mirror", True), (["--style", "dots"], "output.style", "dots"),
    (["--smoothing", "mean"], "smoothing.kind", "mean"), (["--n-pre", "2"], "smoothing.n_pre", 2),
    (["-n_pre", "2"], "smoothing.n_pre", 2), (["-n_next", "0"], "smoothing.n_next", 0),
    (["--status", "out/s.jsonl"], "status.path", "out/s.jsonl"),
    (["--status-interval", "0.5"], "status.interval_s", 0.5),
    (["--fps", "10", "--set", "source.fps=20"], "source.fps", 20.0),
    (["--set", "source.fps=20", "--fps", "10"], "source.fps", 10.0),
    (["--set", "source.spec=gst:a name=b ! c"], "source.spec", "gst:a name=b ! c"),
    (["--set", "source.fps=null"], "source.fps", None),
    (["--set", "output.draw_times=no"], "output.draw_times", False),
    (["--set", "models.detect=rfb320,faceboxes"], "models.detect", ("rfb320", "faceboxes")),
], ids=repr)
def test_every_option_sets_its_key(words, key, value):
    found = words_to_config(words)
    for name in key.split("."):
        found = getattr(found, name)
    assert found == value and type(found) is type(value)


def test_command_line_wins_over_the_file_and_outputs_replace_its_list(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("source: {fps: 5, loop: true}\noutputs: [window]\n")
    config = words_to_config(["--config", str(path), "--fps", "10", "--output", "csv:-"])
    assert (config.source.fps, config.source.loop, config.outputs) == (10.0, True, ("csv:-",))
    assert words_to_config(["--config", str(path)]).outputs == ("window",)


def test_options_and_networks_of_the_help_are_those_that_exist():
    tables = (command_options.SOURCE_OPTIONS, command_options.PACE_OPTIONS, command_options.NETWORK_OPTIONS,
              command_options.TRACKING_OPTIONS, OUTPUT_OPTIONS)
    for option in [option for table in tables for option in table]:
        assert option.key in RULES
        if option.value is not None:
            assert RULES[option.key].read(option.value) == option.value
    text = " ".join(option.text for option in command_options.NETWORK_OPTIONS)
    assert all(name in text for names in NETWORKS.values() for name in names)


@pytest.mark.parametrize("words, names, everything, force", [
    (["fetch"], [], False, False), (["fetch", "mb05"], ["mb05"], False, False),
    (["fetch", "--force", "a", "b"], ["a", "b"], False, True), (["--force", "fetch", "a"], ["a"], False, True),
    (["fetch", "a", "--force", "b"], ["a", "b"], False, True), (["fetch", "--all"], [], True, False),
])
def test_names_of_models_may_stand_before_and_behind_options(words, names, everything, force):
    args = options.read_words(["models"] + words)
    assert (args.action, args.names, args.all, args.force) == ("fetch", names, everything, force)


@pytest.mark.parametrize("error, code", [
    (ConfigError, 2), (SourceError, 3), (ModelError, 4), (EngineError, 4), (OutputError, 5), (FrameError, 1),
])
def test_class_of_the_error_is_the_exit_code(call_with, error, code):
    found, out, err = call_with("raise {}('what is\\nwrong')".format(error.__name__), "run")
    assert (found, out) == (code, "") and one_line(err) == "nanoface: what is wrong"


def test_a_bug_is_one_line_and_its_trace_is_for_who_asks(call_with):
    code, _, err = call_with("1 / 0", "run")
    assert code == 1 and "internal error (ZeroDivisionError: division by zero)" in one_line(err)
    for words, more in ((["run", "--verbose"], {}), (["run"], {"NANOFACE_DEBUG": "1"})):
        code, _, err = call_with("1 / 0", *words, **more)
        assert code == 1 and "Traceback" in err and "internal error" in err


@pytest.mark.parametrize("body, parts", [
    ("import no_such_package.part", ["the package no_such_package is missing", "pip install no_such_package"]),
    ("raise ModuleNotFoundError('x', name='cv2')", ["the package cv2 is missing", "opencv-python-headless"]),
    ("raise ImportError('libfoo.so.1: cannot open')", ["cannot be loaded", "nanoface doctor", "libfoo.so.1"]),
])
def test_a_missing_package_is_named_with_exit_code_4(call_with, body, parts):
    code, _, err = call_with(body, "run")
    assert code == 4
    for part in parts:
        assert part in one_line(err)


def test_run_reports_on_standard_error_and_ends_with_the_table_on_standard_output(call_with):
    body = "report('note', 'a note'); report('warning', 'a warning'); report('progress', '1/2 frames')"
    code, out, err = call_with(body, "run")
    assert code == 0 and err == "a note\nwarning: a warning\n"
    assert "detect" in out and "yunet_s" in out and "RUNNING" in out


@pytest.mark.parametrize("outputs, to_stderr", [
    (["--output", "jsonl:-"], True), (["--output", "csv:-", "--output", "jsonl:a"], True),
    (["--output", "jsonl:a"], False),
])
def test_table_makes_room_for_an_output_on_standard_output(call_with, outputs, to_stderr):
    code, out, err = call_with("pass", "run", *outputs)
    assert code == 0 and ("yunet_s" in err, "yunet_s" in out) == (to_stderr, not to_stderr)


def test_quiet_run_says_nothing_but_errors(call_with):
    body = "report('warning', 'w'); report('note', 'n'); report('progress', 'p')"
    assert call_with(body, "run", "--quiet") == (0, "", "")
    assert call_with(body + "; raise SourceError('gone')", "run", "--quiet") == (3, "", "nanoface: gone\n")


def test_what_was_lost_of_a_film_is_reported_also_by_a_quiet_run_and_is_an_error_where_that_is_wanted(call_with):
    body = "report('loss', 'a.avi: 117 of 120 frames could be decoded'); RECORD['lost'] = 3"
    reported = "warning: a.avi: 117 of 120 frames could be decoded\n"
    assert call_with(body, "run", "--quiet") == (0, "", reported)
    code, out, err = call_with(body, "run", "--strict")
    assert code == 3 and "3 of its frames could not be read" in out and err.startswith(reported)
    assert err[len(reported):] == "nanoface: 3 frames of the source could not be read, and source.strict is true\n"
    assert call_with("pass", "run", "--quiet", "--strict") == (0, "", "")


def test_log_shows_its_warnings_and_leaves_errors_to_who_raises_them(call_with):
    body = "import logging; log = logging.getLogger('edge.x'); log.warning('%s is odd', 'x'); log.error('bad')"
    body += "; log.info('detail'); raise OutputError('bad')"
    assert call_with(body, "run") == (5, "", "warning: x is odd\nnanoface: bad\n")
    assert call_with(body, "run", "--quiet") == (5, "", "nanoface: bad\n")
    code, _, err = call_with(body, "run", "--verbose")
    assert code == 5 and "INFO edge.x: detail" in err
    assert "WARNING edge.x: x is odd" in err and "ERROR edge.x: bad" in err


@pytest.mark.parametrize("every_s, lines", [(10.0, 0), (0.0, 1000)])
def test_progress_between_lines_of_a_log_is_rare(call_with, monkeypatch, every_s, lines):
    monkeypatch.setattr(reporter, "LOG_EVERY_S", every_s)
    code, _, err = call_with("[report('progress', str(i)) for i in range(1000)]", "run")
    assert code == 0 and len(err.splitlines()) == lines


def test_progress_is_one_line_of_a_terminal(tmp_path):
    pty = pytest.importorskip("pty")
    body = "report('progress', 'one'); report('progress', 'two' * 200); report('warning', 'w')"
    ours, theirs = pty.openpty()
    script = STANDS_IN.format(record=RECORD, body=body)
    process = subprocess.Popen([sys.executable, "-c", script, "run"], cwd=str(tmp_path), env=environment(tmp_path),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    text = b""
    try:
        for block in iter(lambda: os.read(ours, 4096), b""):
            text += block
    except OSError:  # Linux tells the end of a terminal so
        pass
    finally:
        os.close(ours)
    assert process.wait(timeout=PATIENCE_S) == 0
    shown = text.decode().replace("\r\n", "\n")
    assert shown.startswith("\rone\x1b[K\rtwo") and shown.endswith("\x1b[K\nwarning: w\n")
    assert len(re.search(r"\r((two)+t?w?)", shown).group(1)) == 99


WAITS = """
    report('note', 'ready')
    while not stop.wait(10.0): pass
    {after}
    RECORD['state'] = 'STOPPED'
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_a_run_in_the_normal_way(tmp_path, number):
    process = start_with(tmp_path, WAITS.format(after=""), "run")
    assert process.stderr.readline() == "ready\n"
    process.send_signal(number)
    code, out, err = finish(process)
    assert (code, err) == (0, "") and "STOPPED" in out


def test_second_signal_ends_a_run_that_does_not_stop(tmp_path):
    body = WAITS.format(after="report('note', 'stopping'); time.sleep(120)")
    process = start_with(tmp_path, body, "run")
    assert process.stderr.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "stopping\n"
    time.sleep(SAME_PRESS_S + 0.1)
    process.send_signal(signal.SIGINT)
    assert finish(process) == (130, "", "")


def test_signal_that_arrives_twice_at_once_counts_once(monkeypatch):
    monkeypatch.setattr("edge.core.clock.monotonic", lambda: 100.0)
    stop = Stop()
    with stopped_by_signals(stop):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
    assert stop.is_set() and stop.wait(60.0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_stop_is_not_set_by_waiting():
    stop = Stop()
    assert not stop.wait(0.0) and not stop.wait(0.01) and not stop.is_set()


@pytest.mark.parametrize("where", ["stdout", "stderr"])
def test_reader_that_leaves_is_no_error(tmp_path, where):
    read_end, write_end = os.pipe()
    os.close(read_end)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    streams[where] = write_end
    body = "report('note', 'n' * 9000)" if where == "stderr" else "pass"
    for command in ([sys.executable, "-c", STANDS_IN.format(record=RECORD, body=body), "run"],
                    [sys.executable, "-m", "edge", "run", "--help"]):
        process = subprocess.Popen(command, cwd=str(tmp_path), env=environment(tmp_path), stdin=subprocess.DEVNULL,
                                   universal_newlines=True, **streams)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0 and not err
        assert where == "stdout" or out
    os.close(write_end)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_full_disk_behind_standard_output_is_exit_code_5(tmp_path):
    with open("/dev/full", "w") as full:
        process = subprocess.Popen(
            [sys.executable, "-m", "edge", "--version"], cwd=str(tmp_path), env=environment(tmp_path), stdout=full,
            stderr=subprocess.PIPE, universal_newlines=True)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 5 and "cannot write to standard output: the disk is full" in one_line(err)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_closed_streams_are_no_trace(tmp_path):
    line = '"$0" -m edge status absent.jsonl >&- 2>&-'
    process = start(tmp_path, ["/bin/sh", "-c", line, sys.executable])
    assert finish(process) == (2, "", "")


def test_ascii_terminal_shows_what_it_can(tmp_path):
    body = "report('note', 'gr\\xfc\\xdfe'); RECORD['source'] = 'gr\\xfcn.mp4'"
    code, out, err = finish(start_with(tmp_path, body, "run", LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0"))
    assert code == 0 and err == "gr\\u00fc\\u00dfe\n" and "gr\\u00fcn.mp4" in out


def log_of(folder, *records):
    path = folder / "status.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path.name


def test_status_shows_the_last_record_as_a_table_and_how_old_it_is(tmp_path, call):
    code, out, err = call("status", log_of(tmp_path, dict(RECORD, state="STARTING"), RECORD))
    assert (code, err) == (0, "")
    assert "RUNNING" in out and "yunet_s" in out and "STARTING" not in out
    assert "last written" in out and "ago" in out


def test_status_of_now_says_no_age_and_json_is_the_record(tmp_path, call):
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    name = log_of(tmp_path, dict(RECORD, at=now))
    code, out, _ = call("status", name)
    assert code == 0 and "last written" not in out
    code, out, _ = call("status", "--json", name)
    assert code == 0 and json.loads(out) == dict(RECORD, at=now)


def test_status_from_the_future_is_no_fresh_one(tmp_path, call):
    later = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() + 7200.0))
    code, out, _ = call("status", log_of(tmp_path, dict(RECORD, at=later)))
    assert code == 0 and re.search(r"last written (1 h 59|2 h 0) min ahead of this machine's clock", out)


def test_status_finds_the_log_of_the_configuration(tmp_path, call):
    name = log_of(tmp_path, RECORD)
    assert call("status", "--set", "status.path=" + name)[0] == 0
    (tmp_path / "state" / "nanoface").mkdir(parents=True)
    (tmp_path / name).rename(tmp_path / "state" / "nanoface" / "status.jsonl")
    assert call("status")[0] == 0


@pytest.mark.parametrize("text", [
    "", "\n", "not json\n", '{"schema": 1, "frame": 0, "faces": []}\n', '[1]\n', '{"state": "RUNNING"}\n',
    '{"state": 1, "stages": 2}\n', '{"state": "RUNNING", "stages": {"a": 1}}\n', json.dumps(RECORD)[:-9], "\0\0\0",
])
def test_file_that_is_no_status_log_is_one_line_and_exit_code_2(tmp_path, call, text):
    (tmp_path / "odd.jsonl").write_text(text)
    for words in (["status", "odd.jsonl"], ["status", "--json", "odd.jsonl"]):
        code, out, err = call(*words)
        assert (code, out) == (2, "") and "odd.jsonl" in one_line(err)


def test_status_follows_a_log_until_the_signal(tmp_path):
    name = log_of(tmp_path, RECORD)
    process = start(tmp_path, [sys.executable, "-m", "edge", "status", "--follow", "--json", name])
    assert json.loads(process.stdout.readline())["uptime_s"] == 125.0
    with open(str(tmp_path / name), "a") as f:
        f.write(json.dumps(dict(RECORD, uptime_s=130.0)) + "\n")
    assert json.loads(process.stdout.readline())["uptime_s"] == 130.0
    process.send_signal(signal.SIGINT)
    assert finish(process) == (0, "", "")


@pytest.mark.parametrize("at, expected", [
    ("2026-11-21T03:20:11.402Z", 8.598), ("2026-11-21T03:20:20.000Z", 0.0), ("yesterday", None), (None, None),
    (3, None),
])
def test_age_of_a_record(at, expected):
    now_s = age_of({"at": "1970-01-01T00:00:00.000Z"}, 0.0) + 1795231220.0
    found = age_of({"at": at}, now_s)
    assert found is None if expected is None else abs(found - expected) < 1e-6


@pytest.mark.parametrize("action, expected", [
    (["list"], ("list", "HOME")), (["check"], ("check", "HOME")),
    (["fetch", "mb05", "--force"], ("fetch", "HOME", ["mb05"], False, True)),
    (["fetch", "--all"], ("fetch", "HOME", [], True, False)),
])
def test_models_hand_over_to_the_build_step_and_return_its_exit_code(monkeypatch, tmp_path, action, expected):
    calls = []
    monkeypatch.setenv("NANOFACE_HOME", str(tmp_path))
    fake = types.ModuleType("engines.fetch.commands")
    for name in ("list", "check", "fetch"):
        def act(*words, name=name):
            assert words[-1] is sys.stdout
            calls.append((name,) + words[:-1])
            return 4
        setattr(fake, "run_" + name, act)
    monkeypatch.setitem(sys.modules, "engines.fetch.commands", fake)
    monkeypatch.setattr("engines.fetch.commands", fake, raising=False)  # loaded before by another test
    assert cli.main(["models"] + action) == 4
    assert calls == [tuple(str(tmp_path) if word == "HOME" else word for word in expected)]


@pytest.mark.parametrize("words, frames, rounds, as_json", [
    ([], 100, 5, False), (["--frames", "20", "--rounds", "2", "--json"], 20, 2, True),
])
def test_bench_hands_over_what_was_asked(monkeypatch, words, frames, rounds, as_json):
    calls = []
    fake = types.ModuleType("edge.bench.command")
    fake.run_bench = lambda config, *rest: calls.append((rest[:-1], rest[-1] is sys.stdout))
    monkeypatch.setitem(sys.modules, "edge.bench.command", fake)
    monkeypatch.setenv("NANOFACE_CONFIG", os.devnull)
    assert cli.main(["bench"] + words) == 0
    assert calls == [((frames, rounds, as_json), True)]


def test_doctor_says_what_is_missing_with_its_cure_and_exit_code_1(call):
    code, out, err = call("doctor")
    assert (code, err) == (1, "")
    assert re.search(r"^fail  model detect .*\n +-> .*nanoface models fetch", out, re.MULTILINE)
    assert "nanoface cannot run here" in out.strip().split("\n")[-1]


def test_doctor_reports_the_same_as_json(call):
    code, out, err = call("doctor", "--json")
    reported = json.loads(out)
    assert (code, err, reported["can_run"]) == (1, "", False)
    model = next(finding for finding in reported["findings"] if finding["name"] == "model detect")
    assert model["state"] == "fail" and "nanoface models fetch" in model["cure"]


def test_doctor_that_finds_nothing_broken_ends_with_0(monkeypatch, capsys):
    from edge.doctor import examine
    from edge.doctor.machine import OK, WARN, Finding

    monkeypatch.setenv("NANOFACE_CONFIG", os.devnull)
    monkeypatch.setattr(examine, "examine", lambda *_: [Finding("a", OK, "fine"), Finding("b", WARN, "slow", "hurry")])
    assert cli.main(["doctor"]) == 0
    assert capsys.readouterr().out == (
        "ok    config        {} ($NANOFACE_CONFIG)\n".format(os.devnull) +
        "ok    a             fine\nwarn  b             slow\n" + " " * 20 +
        "-> hurry\nnanoface can run here: 1 to look at\n")


def test_interrupted_command_is_exit_code_130(monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("engines.fetch.commands.run_list", interrupt)
    assert cli.main(["models", "list"]) == 130
    assert capsys.readouterr().err == "nanoface: interrupted\n"
