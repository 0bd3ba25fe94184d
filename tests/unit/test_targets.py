"""The status log goes into a new file or a status log, and nothing that a run writes to is something else that it uses."""
import json
import os
import subprocess
import sys

import pytest

from edge.app.targets import NewFolders, check_targets
from edge.cli import main as cli
from edge.config.load import load_config
from edge.core.errors import ConfigError
from edge.outputs.spec import PictureNames, parse_outputs
from edge.telemetry.status.file import MODE, check_status, mode_of
from edge.telemetry.status.log import StatusLog

RECORD = {"schema": 1, "at": "2026-11-21T03:20:11.402Z", "state": "RUNNING"}
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LINE = json.dumps(RECORD, separators=(",", ":")).encode("ascii") + b"\n"
FRAME = b'{"schema":1,"frame":7,"faces":[]}\n'


def log_at(path, **more):
    log = StatusLog(str(path), **more)
    log.write(RECORD)
    log.close()
    return log


@pytest.mark.parametrize("content", [
    b"", LINE, LINE * 3, LINE + b'{"schema":1,"at":"20', b'{"sch', LINE + b'{"schema":1,"a\n' + LINE, LINE + b"\0" * 4000,
    LINE + b'{"schema":1\0\0\0\n' + LINE, b"\0" * 4000, LINE * 9000,
], ids=["empty", "one", "three", "torn", "all torn", "torn and ended", "a power cut's zeros",
        "zeros in a line", "zeros alone", "long"])
def test_a_status_log_goes_on(tmp_path, content):
    path = tmp_path / "status.jsonl"
    path.write_bytes(content)
    check_status(str(path), 3)
    log = log_at(path)
    assert log.problem == "" and path.read_bytes().startswith(content) and path.read_bytes().endswith(LINE)


@pytest.mark.parametrize("content", [
    b"my notes\n", b"my notes", b"\n", b"[1, 2]\n", b'{"a": 1}\n', FRAME, FRAME * 90000, b"\xff\xd8\xff\xe0" * 99,
    LINE + b"and a note of mine\n", b"a note of mine\n" + LINE, LINE * 9000 + b"note\n" + LINE, b'{"schema":1,"state":7}\n',
], ids=["text", "text without an end", "empty lines", "a list", "an object", "frames", "3 MB of frames", "a picture",
        "a note behind", "a note before", "a note near the end", "a state that is no word"])
def test_what_is_no_status_log_is_neither_written_into_nor_rotated_away(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="notes.txt holds something else than status records and stays as it is"):
        check_status(str(path), 3)
    log = log_at(path, max_bytes=10000)
    assert "something else" in log.problem and log.failed == 1
    assert path.read_bytes() == content and os.listdir(str(tmp_path)) == ["notes.txt"]


def test_a_foreign_file_where_an_older_log_would_go_is_not_written_over(tmp_path):
    path, foreign = tmp_path / "status.jsonl", tmp_path / "status.jsonl.2"
    foreign.write_bytes(b"my notes\n")
    with pytest.raises(ConfigError, match="status.jsonl.2 holds something else"):
        check_status(str(path), 2)
    check_status(str(path), 1)  # it is in nobody's way
    log = StatusLog(str(path), max_bytes=100, keep=2)
    for _ in range(4):
        log.write(RECORD)
    log.close()
    assert foreign.read_bytes() == b"my notes\n" and "status.jsonl.2" in log.problem


@pytest.mark.parametrize("make, words", [
    (lambda path: path.mkdir(), "it is a folder"),
    (lambda path: os.mkfifo(str(path)), "it is a pipe"),
    (lambda path: path.symlink_to("/dev/null"), "it is a device"),
], ids=["folder", "pipe", "device"])
def test_what_is_no_file_is_one_clear_line(tmp_path, make, words, capsys):
    path = tmp_path / "x"
    make(path)
    assert cli.main(["run", "--source", "portrait", "--status", str(path)]) == 2
    output = capsys.readouterr().err
    assert words in output and "none to write no status log" in output and output.count("\n") == 1


def targets(folder, outputs, status="none", source="portrait"):
    """Of a run in `folder`."""
    overrides = {"outputs": outputs, "status.path": status, "source.spec": source}
    config = load_config(None, overrides, {"NANOFACE_CONFIG": os.devnull})
    check_targets(parse_outputs(config.outputs), config)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(str(tmp_path))
    (tmp_path / "log").write_bytes(LINE)
    (tmp_path / "frames").write_bytes(b"")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "film.mp4").write_bytes(b"film")
    (tmp_path / "pictures" / "000007.jpg").write_bytes(b"picture")
    os.link("log", "log.hard")
    os.link("film.mp4", "film.hard")
    os.link("frames", "frames.hard")
    os.symlink("log", "log.soft")
    os.symlink("pictures", "pictures.soft")
    return tmp_path


@pytest.mark.parametrize("outputs, status, source, words", [
    (["jsonl:log"], "log", "portrait", "go to the same place"),
    (["jsonl:log.hard"], "log", "portrait", "go to the same place"),
    (["jsonl:log.soft"], "log", "portrait", "go to the same place"),
    (["jsonl:log"], "log.soft", "portrait", "go to the same place"),
    (["jsonl:new"], "./new", "portrait", "go to the same place"),
    (["csv:log.1"], "log", "portrait", "go to the same place"),
    (["csv:log.3"], "log", "portrait", "go to the same place"),
    (["images:pictures"], "pictures.soft/000001.jpg", "portrait", "go to the same place"),
    (["jsonl:frames", "csv:frames.hard"], "none", "portrait", "go to the same place"),
    (["images:pictures", "image:pictures.soft/000009.jpg"], "none", "portrait", "go to the same place"),
    (["jsonl:film.hard"], "none", "film.mp4", "would write over the source film.mp4"),
    (["images:pictures.soft"], "none", "pictures/000007.jpg", "would write over the source"),
    ([], "film.hard", "film.mp4", "would write over the source"),
])
def test_one_file_is_never_used_twice(here, outputs, status, source, words):
    with pytest.raises(ConfigError, match=words):
        targets(here, outputs, status, source)
    assert (here / "film.mp4").read_bytes() == b"film" and (here / "log").read_bytes() == LINE


def test_what_is_thrown_away_is_in_nobodys_way(here):
    targets(here, ["jsonl:/dev/null", "csv:/dev/null", "image:pictures/face.jpg", "images:pictures"], "log")
    assert (here / "log").read_bytes() == LINE


@pytest.mark.parametrize("text, mode", [("", None), ("0644", 0o644), ("600", 0o600), ("rw", None)])
def test_a_new_log_has_the_mode_that_the_service_wants_whatever_the_umask(tmp_path, text, mode):
    assert mode_of({MODE: text}) == mode
    before = os.umask(0o027)
    try:
        log_at(tmp_path / "status.jsonl", mode=mode)
    finally:
        os.umask(before)
    assert (tmp_path / "status.jsonl").stat().st_mode & 0o777 == (0o640 if mode is None else mode)


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    for name in ("src/IMG_1.jpg", "src/x.heic", "other/IMG_1.jpg", "twice/IMG_1.jpg", "twice/IMG_1_res.jpg", "links"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.mkdir() if name == "links" else path.write_bytes(name.encode())
    os.symlink("../src/IMG_1.jpg", str(tmp_path / "links" / "IMG_1.jpg"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("source, outputs, clash", [
    ("src", ["images:src"], True), ("src/IMG_1.jpg", ["images:src"], True), ("src", ["images:links"], True),
    ("src", ["images:new", "image:new/IMG_1.jpg"], True), ("src/IMG_1.jpg,other/IMG_1.jpg", ["images:other"], True),
    ("src", ["images:new"], False), ("src/IMG_1.jpg", ["images:new", "image:new/last.jpg"], False),
    ("src/IMG_1.jpg", ["images:other"], False), ("src", ["images:src?suffix=_res"], False),
    ("twice", ["images:twice?suffix=_res"], True), ("src", ["images:new?suffix=_res", "image:new/IMG_1.jpg"], False),
    ("src", ["images:new?suffix=_res", "image:new/IMG_1_res.jpg"], True),
    ("src", ["images:new?suffix=_res", "image:new/000007_res.jpg"], True),
    ("src", ["images:new?suffix=_res", "image:new/000007.jpg"], False),
])
def test_annotated_pictures_never_go_over_their_sources(pictures, source, outputs, clash):
    config = load_config(None, {"source.spec": source, "status.path": "none"}, {})
    if clash:
        with pytest.raises(ConfigError, match="would write over the source|go to the same place"):
            check_targets(parse_outputs(outputs), config)
    else:
        assert check_targets(parse_outputs(outputs), config) is None


def test_annotated_pictures_keep_their_names():
    names = PictureNames()
    files = ["a/IMG_1.jpg", "b/IMG_1.jpg", "a/IMG_1.jpg", "c/img_1.JPG", "x.heic", "y.png", "n" * 230 + ".jpg", ""]
    assert [names.name(file, seq) for seq, file in enumerate(files)] == [
        "IMG_1.jpg", "IMG_1-2.jpg", "IMG_1.jpg", "img_1-3.JPG", "x.heic.jpg", "y.png", "000006.jpg", "000007.jpg"]


@pytest.mark.parametrize("files, called", [
    (["a/IMG_1.jpg", "b/IMG_1.jpg", "IMG_1_res.jpg"], ["IMG_1_res.jpg", "IMG_1_res-2.jpg", "IMG_1_res_res.jpg"]),
    (["x.heic", "y.PNG", "no extension", ".jpg"], ["x.heic_res.jpg", "y_res.PNG", "no extension_res.jpg", ".jpg_res.jpg"]),
    (["n" * 192 + ".jpg", "n" * 193 + ".jpg", ""], ["n" * 192 + "_res.jpg", "000001_res.jpg", "000002_res.jpg"]),
])
def test_a_suffix_stands_before_the_extension(files, called):
    names = PictureNames(suffix="_res")
    assert [names.name(file, seq) for seq, file in enumerate(files)] == called


@pytest.mark.parametrize("text", ["images:out?suffix=a/b", "images:out?suffix=", "image:a.jpg?suffix=_res"])
def test_what_is_no_suffix(text):
    with pytest.raises(ConfigError, match="suffix"):
        parse_outputs([text])


def test_folders_that_outputs_and_log_make_are_reported_once_when_they_are_there(here):
    config = load_config(None, {"status.path": "logs/new/status.jsonl"}, {"NANOFACE_CONFIG": os.devnull})
    folders = NewFolders(parse_outputs(["jsonl:out/2026/a.jsonl", "csv:out/2026/a.csv", "images:out/frames", "csv:-",
                                        "image:pictures/a.jpg", "jsonl:plain", "video:/dev/null/x.mp4"]), config)
    assert folders.note() == ""
    os.makedirs("out/2026")
    assert folders.note() == "made the folder out/2026" and folders.note() == ""
    os.makedirs("out/frames")
    os.makedirs("logs/new")
    assert folders.note() == "made the folders logs/new and out/frames" and folders.note() == ""


def test_a_run_reports_the_folder_that_it_made(models_home, tmp_path):
    pytest.importorskip("onnxruntime")
    env = dict(os.environ, NANOFACE_HOME=models_home, NANOFACE_CONFIG=os.devnull, PYTHONPATH=ROOT)
    words = ["run", "portrait", "--max-frames", "2", "--status", "none", "--output", "jsonl:out/2026/a.jsonl"]
    reported = [subprocess.run([sys.executable, "-m", "edge"] + words, cwd=str(tmp_path), env=env, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, universal_newlines=True, timeout=120)
            for _ in range(2)]
    assert [(done.returncode, "made the folder out/2026\n" in done.stderr) for done in reported] == [(0, True), (0, False)]
