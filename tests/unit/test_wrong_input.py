"""The table of wrong inputs: each ends with its exit code and one line that says what is wrong and how to cure it.

Real files, no network: what is asked for fails before one would be loaded. One case of each exit code is a real process, the
others run in this one. Words of the command line and mistakes in the configuration file are in test_cli.py and test_config.py.
"""
import json
import os
import shutil
import sys
from importlib.util import find_spec

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")

from in_process import InProcess
from whole_runs import RUNTIMES, finish, launch, one_line, python_path, write_index

from edge.host.packages import fastest_runtime
from edge.sources.portrait import PICTURE
from edge.store.models import onnx_dir, sha256_of

USAGE, SOURCE, MODEL, OUTPUT = 2, 3, 4, 5
JUNK = b"no network at all"
INTRINSICS = {"fx": 600, "fy": 600, "cx": 319.5, "cy": 239.5, "width": 640, "height": 480}
NEEDS_PROC = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc on this system")
NEEDS_FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")


@pytest.fixture
def folder(tmp_path):
    """Where the process works: good and bad files, and a home whose networks are files with the right hash."""
    for name, content in (("text.mp4", b"hello\n"), ("empty.mp4", b""), ("empty.jpg", b""), ("text.jpg", b"hello\n"),
                          ("blank.txt", b"# nothing\n"), ("list.txt", b"good.jpg\nabsent.jpg\n"), ("bad.json", b"{"),
                          ("bad.yaml", b"source: {fps: 30}}\n"), ("latin.yaml", b"# gr\xfc\xdfe\n"),
                          ("range.yaml", b"tracking:\n  max_faces: 17\n"), ("type.yaml", b"source: {loop: maybe}\n"),
                          ("section.yaml", b"source: portrait\n"), ("output.yaml", b"outputs: ['josnl:a']\n")):
        (tmp_path / name).write_bytes(content)
    for name in ("nothing", "films", "mixed", "pair"):
        (tmp_path / name).mkdir()
    (tmp_path / "films" / "a.mp4").write_bytes(b"hello\n")
    for name in ("good.jpg", "mixed/1.jpg", "pair/000000.jpg", "pair/000001.jpg"):
        shutil.copy(PICTURE, str(tmp_path / name))
    cv2.imwrite(str(tmp_path / "mixed" / "2.png"), np.zeros((90, 160, 3), np.uint8))
    for name, change in (("nofx", {"fx": None}), ("negative", {"fy": -1}), ("narrow", {"width": 0.5})):
        (tmp_path / (name + ".json")).write_text(json.dumps(dict(INTRINSICS, **change)))
    fill_home(str(tmp_path / "home"), ("yunet_s", "face_attention"))
    return tmp_path


def fill_home(home, names):
    """A home as the build step leaves it, but for what is in the files."""
    os.makedirs(onnx_dir(home))
    networks = {}
    for name in names:
        path = os.path.join(onnx_dir(home), name + ".onnx")
        with open(path, "wb") as f:
            f.write(JUNK)
        networks[name] = {"file": name + ".onnx", "sha256": sha256_of(path), "decode": {}}
    write_index(home, networks)
    return networks


@pytest.fixture(scope="session")
def some_runtime(tmp_path_factory):
    """Something to put on the path so that a runtime seems to be installed, where none is: none of these cases runs it."""
    if any(find_spec(name) is not None for name in RUNTIMES):
        return []
    stand_in = tmp_path_factory.mktemp("packages")
    (stand_in / "onnxruntime.py").write_text("")
    return [str(stand_in)]


@pytest.fixture
def nanoface(folder, some_runtime, capfd, monkeypatch):
    """nanoface(word ...) -> what it came to; variables of the environment may be given."""
    for path in some_runtime:
        monkeypatch.syspath_prepend(path)
    return InProcess(folder, capfd)


def run_words(words):
    """A run without the roles that would only say that they have no network."""
    return ("run", "--status", "none", "--pose", "none", "--iris", "none") + tuple(words)


def check(done, code, parts):
    """The exit code, one line and nothing more, and in it every one of `parts`."""
    assert (done.code, done.out) == (code, ""), done.err
    line = one_line(done.err)
    assert line == done.err.strip() and len(line) > len("nanoface: ")
    for part in parts:
        assert part in line, line


def named(value):
    """The id of a case."""
    if isinstance(value, tuple):
        value = " ".join(value)
    return ascii(value)[1:-1][:60] if isinstance(value, str) else ""


@pytest.mark.parametrize("words, code, parts", [
    (("--sorce", "portrait"), USAGE, ["did you mean --source?"]),
    (("--config", "range.yaml"), USAGE, ["range.yaml:2", "1 to 16"]),
    (("--source", "text.mp4"), SOURCE, ["text.mp4 is no video"]),
    (("--source", "portrait", "--detector", "rfb320"), MODEL, ["nanoface models fetch"]),
    (("--source", "portrait", "--output", "csv:text.mp4/a.csv"), OUTPUT, ["part of the path is a file"]),
], ids=["words", "configuration", "source", "model", "output"])
def test_a_process_ends_with_its_exit_code_and_one_line_on_standard_error(folder, some_runtime, words, code, parts):
    process = launch(str(folder), str(folder / "home"), run_words(words), PYTHONPATH=python_path(*some_runtime))
    check(finish(str(folder), process), code, parts)


# usage: what each option allows by itself is in test_cli.py

@pytest.mark.parametrize("words, parts", [
    (("--source", "0", "--every-frame"), ["--every-frame is for files", "0 is live"]),
    (("--source", "0", "--start", "3"), ["--start is for files"]),
    (("--source", "rtsp://127.0.0.1/x", "--end", "3"), ["--end is for files", "rtsp://127.0.0.1/x is live"]),
    (("--source", "rtsp://127.0.0.1/x", "--fps", "30"), ["--fps", "its own rate"]),
    (("--loop",), ["--loop is for files", "a camera is live"]),
    (("--max-frames", "0"), ["--max-frames: source.max_frames is 0"]),
    (("--source", ""), ["--source: source.spec is the text ''"]),
    (("--source", "portrait", "--output", "jsonl:"), ["jsonl:", "where to?", "jsonl:PATH"]),
    (("--source", "portrait", "--output", "video:a.avi"), ["video:a.avi", "must end in .mp4"]),
    (("--source", "portrait", "--output", ""), ["--output", "KIND:TARGET"]),
    (("--source", "portrait", "--output", "a.mp4"), ["video:a.mp4"]),
    (("--source", "portrait", "--output", "jsonl:a", "--output", "csv:./a"), ["jsonl:a", "csv:./a", "the same place"]),
    (("--source", "good.jpg", "--output", "jsonl:./good.jpg"), ["jsonl:./good.jpg", "write over the source good.jpg"]),
    (("--source", "good.jpg", "--output", "image:good.jpg"), ["image:good.jpg", "write over the source"]),
    (("--source", "pair/000000.jpg,good.jpg", "--output", "jsonl:good.jpg"), ["good.jpg", "write over"]),
    (("--source", "pair", "--output", "images:pair"), ["pair", "write over"]),
    (("--source", "good.jpg", "--status", "good.jpg"), ["good.jpg", "write over"]),
], ids=named)
def test_wrong_usage_is_exit_code_2_and_harms_no_file(nanoface, folder, words, parts):
    check(nanoface(*run_words(words)), USAGE, parts)
    for name in ("good.jpg", "pair/000000.jpg", "pair/000001.jpg"):
        assert sha256_of(str(folder / name)) == sha256_of(PICTURE)


@pytest.mark.parametrize("words, parts", [
    (("models", "fetch", "nosuch"), ["no network called nosuch", "nanoface models list"]),
    (("models", "fetch", "yunet"), ["did you mean yunet_s?"]),
    (("bench", "--source", "portrait", "--beside", "python3"), ["--beside is unknown"]),
    (("status",), ["there is no status log", "state", "nanoface run"]),
    (("status", "good.jpg"), ["good.jpg"]),
], ids=named)
def test_wrong_wishes_of_other_commands_are_exit_code_2(nanoface, words, parts):
    check(nanoface(*words), USAGE, parts)


@pytest.mark.parametrize("words, parts", [
    (("--config", "absent.yaml"), ["absent.yaml (--config) does not exist"]),
    (("--config", "bad.yaml"), ["bad.yaml:1", "not YAML"]),
    (("--config", "latin.yaml"), ["latin.yaml:1", "UTF-8"]),
    (("--config", "range.yaml"), ["range.yaml:2", "tracking.max_faces is 17", "1 to 16"]),
    (("--config", "type.yaml"), ["type.yaml:1", "source.loop", "true or false"]),
    (("--config", "section.yaml"), ["section.yaml:1", "source.spec"]),
    (("--config", "output.yaml", "--source", "portrait"), ["josnl:a", "did you mean jsonl:PATH"]),
    (("--source", "portrait", "--intrinsics", "absent.json"), ["absent.json"]),
    (("--source", "portrait", "--intrinsics", "bad.json"), ["bad.json", "cannot be read"]),
    (("--source", "portrait", "--intrinsics", "good.jpg"), ["good.jpg", "cannot be read"]),
    (("--source", "portrait", "--intrinsics", "nofx.json"), ["nofx.json", "must be a number"]),
    (("--source", "portrait", "--intrinsics", "negative.json"), ["negative.json", "must be positive"]),
    (("--source", "portrait", "--intrinsics", "narrow.json"), ["narrow.json", "positive"]),
], ids=named)
def test_a_wrong_configuration_is_exit_code_2(nanoface, words, parts):
    check(nanoface(*run_words(words)), USAGE, parts)


def test_the_configuration_that_the_environment_names_must_exist(nanoface):
    check(nanoface("run", NANOFACE_CONFIG="absent.yaml"), USAGE, ["absent.yaml ($NANOFACE_CONFIG) does not exist"])


# source

@pytest.mark.parametrize("words, parts", [
    (("good.jgp",), ["there is no good.jgp", "did you mean good.jpg?"]), (("portrat",), ["did you mean portrait"]),
    (("pair/000000.jpeg",), ["did you mean pair/000000.jpg?"]),
    (("nofolder/a.mp4",), ["there is no folder nofolder"]),
    (("good.jpg", "godo.jpg"), ["there is no godo.jpg", "did you mean good.jpg?"]),
    (("good.jpg,text.mp4",), ["text.mp4 is not a picture"]),
    (("list.txt",), ["list.txt", "there is no absent.jpg"]),
    (("blank.txt",), ["blank.txt is empty"]),
    (("empty.mp4",), ["empty.mp4 is empty"]),
    (("empty.jpg",), ["empty.jpg is empty"]),
    (("text.mp4",), ["text.mp4 is no video"]),
    (("text.jpg",), ["text.jpg is damaged, or no picture"]),
    (("good.jpg/",), ["there is no good.jpg/", "did you mean good.jpg?"]),
    (("nothing",), ["there is no picture (.jpg, ", "in the folder nothing"]),
    (("films",), ["no picture", "for a video name the file, as in films/a.mp4"]),
    (("empty.jpg,text.jpg",), ["no picture in it can be read"]),
    (("camera",), ["by its number", "--source 0"]),
    (("-1",), ["cameras are counted from 0"]),
    (("foo://bar",), ["foo://bar"]), (("rtps://127.0.0.1/x",), ["unknown kind of address", "did you mean rtsps://?"]),
    (("portrait", "--start", "11"), ["no frame between 11 s and its end", "10.0 s long"]),
    (("a\nb.mp4",), ["there is no a b.mp4"]),
    ((os.fsdecode(b"caf\xe9.mp4"),), ["there is no caf", ".mp4"]),
    (("x" * 5000,), ["there is no xxx"]),
], ids=named)
def test_a_wrong_source_is_exit_code_3(nanoface, words, parts):
    check(nanoface(*run_words(("--source",) + words)), SOURCE, parts)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="cameras have device files on Linux alone")
@pytest.mark.parametrize("spec", ["63", "/dev/video63", "/dev/v4l/by-id/no-such-camera"])
def test_a_camera_that_is_not_there_is_exit_code_3(nanoface, spec):
    check(nanoface(*run_words(("--source", spec))), SOURCE, ["there is no camera", spec])


@pytest.mark.skipif(any(os.path.exists("/dev/video{}".format(n)) for n in range(10)), reason="this machine has a camera")
def test_without_any_camera_the_demo_is_named_and_not_taken(nanoface, folder):
    check(nanoface(*run_words(("--output", "jsonl:a.jsonl"))), SOURCE, ["no camera was found", "--source portrait"])
    assert not (folder / "a.jsonl").exists() or (folder / "a.jsonl").read_text() == ""


def test_a_stream_that_nobody_serves_is_exit_code_3(nanoface):
    check(nanoface(*run_words(("--source", "rtsp://127.0.0.1:9/x"))), SOURCE, ["rtsp://127.0.0.1:9/x", "server"])


@pytest.mark.parametrize("words, parts", [
    (("--source", "0"), ["frames that can be repeated", "--source portrait"]), ((), ["--source portrait"]),
    (("--source", "absent.mp4"), ["there is no absent.mp4"]), (("--source", "empty.mp4"), ["empty.mp4 is empty"]),
    (("--source", "mixed"), ["frames of one size", "mixed has several"]),
], ids=named)
def test_bench_wants_frames_that_it_can_repeat(nanoface, words, parts):
    check(nanoface("bench", *words), SOURCE, parts)


# models and runtimes

DEMO = run_words(("--source", "portrait"))


@pytest.mark.parametrize("text, parts", [
    (None, ["none of the networks yunet_s, yunet_n", "nanoface models fetch"]),
    ("{}", ["not an index of this version", "delete it"]),
    ('{"schema": 99, "networks": {}}', ["not an index of this version"]),
    ('{"schema": 1, "networks": []}', ["not an index of this version"]),
    ('{"schema": 1, "networks": {"yunet_s": [null]}}', ["not an index of this version"]),
    ('{"schema": 1, "networks": {"yunet_s"', ["index.json cannot be read", "delete it and run `nanoface models fetch`"]),
    ("\xff\xfe", ["index.json cannot be read"]),
    ('{"schema": 1, "networks": {"yunet_s": {"file": "absent.onnx", "sha256": ""}}}', ["yunet_s", "models fetch"]),
    ('{"schema": 1, "networks": {"yunet_s": {"file": "..", "sha256": ""}}}', ["yunet_s", "models fetch"]),
    ('{"schema": 1, "networks": {"yunet_s": {}}}', ["models fetch"]),
    ('{"schema": 1, "networks": {"yunet_s": 3}}', ["models fetch"]),
], ids=named)
def test_a_wrong_index_of_the_networks_is_exit_code_4(nanoface, folder, text, parts):
    index = folder / "home" / "onnx" / "index.json"
    index.unlink()
    if text is not None:
        index.write_bytes(text.encode("latin-1"))
    check(nanoface(*DEMO), MODEL, parts)


@pytest.mark.parametrize("name, content", [
    ("yunet_s", JUNK[:5]), ("yunet_s", b""), ("face_attention", JUNK + b"x"),
], ids=["cut off", "empty", "too long"])
def test_a_corrupt_network_is_exit_code_4(nanoface, folder, name, content):
    path = folder / "home" / "onnx" / (name + ".onnx")
    path.write_bytes(content)
    check(nanoface(*DEMO), MODEL, [str(path), "is corrupt", "nanoface models fetch"])


@pytest.mark.parametrize("words, parts", [
    (("--detector", "rfb320,faceboxes"), ["none of the networks rfb320, faceboxes", "nanoface models fetch"]),
    (("--aligner", "facemesh_pth"), ["facemesh_pth", "nanoface models fetch"]),
    (("--runtime", "tensorrt"), ["tensorrt is not installed", "python3-libnvinfer"]),
], ids=named)
def test_a_network_or_runtime_that_is_not_there_is_exit_code_4(nanoface, words, parts):
    check(nanoface(*(DEMO + words)), MODEL, parts)


@pytest.mark.parametrize("words, hidden, parts", [
    (("--runtime", "openvino"), ["openvino"], ["openvino is not installed", "-m pip install 'openvino>=2024.0,<2027'"]),
    (("--runtime", "onnxruntime"), ["onnxruntime"], ["onnxruntime is not installed", "-m pip install 'onnxruntime>="]),
    ((), list(RUNTIMES), ["no runtime is installed", "-m pip install '" + fastest_runtime()]),
], ids=named)
def test_a_runtime_that_is_not_installed_is_exit_code_4_with_its_cure(nanoface, monkeypatch, words, hidden, parts):
    for name in hidden:
        monkeypatch.setitem(sys.modules, name, None)
    check(nanoface(*(DEMO + words)), MODEL, parts)


def test_a_home_that_is_a_file_is_exit_code_4(nanoface, folder):
    check(nanoface(*DEMO, NANOFACE_HOME=str(folder / "good.jpg")), MODEL, ["good.jpg", "cannot be read"])


def test_a_network_without_the_numbers_that_came_with_it_is_exit_code_4(nanoface, folder):
    shutil.rmtree(str(folder / "home"))
    fill_home(str(folder / "home"), ("yunet_s", "face_attention", "mb05"))
    done = nanoface("run", "--source", "portrait", "--status", "none", "--iris", "none")
    assert done.code == MODEL and "mb05" in one_line(done.err)


# outputs

@pytest.mark.parametrize("output, parts", [
    ("jsonl:text.mp4/a.jsonl", ["part of the path is a file"]), ("csv:text.mp4/a.csv", ["part of the path is a file"]),
    ("video:text.mp4/a.mp4", ["part of the path is a file"]), ("image:text.mp4/a.jpg", ["part of the path is a file"]),
    ("images:text.mp4", ["part of the path is a file"]), ("images:text.mp4/a", ["part of the path is a file"]),
    ("jsonl:nothing", ["it is a folder; add a file name"]), ("csv:nothing", ["it is a folder"]),
    ("jsonl:" + "x" * 300, ["File name too long"]), ("video:" + "x" * 300 + ".mp4", ["File name too long"]),
    pytest.param("csv:/dev/full", ["No space left on device", "free some space"], marks=NEEDS_FULL),
    pytest.param("jsonl:/proc/nanoface.jsonl", [], marks=NEEDS_PROC),  # where not even root may write
    pytest.param("video:/proc/a.mp4", [], marks=NEEDS_PROC), pytest.param("images:/proc/nanoface", [], marks=NEEDS_PROC),
], ids=named)
def test_a_wrong_output_is_exit_code_5(nanoface, folder, output, parts):
    check(nanoface(*(DEMO + ("--output", output))), OUTPUT, ["output " + output[:100]] + parts)
    assert (folder / "text.mp4").read_bytes() == b"hello\n"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("output", ["jsonl:nothing/a", "csv:nothing/a", "video:nothing/a.mp4", "image:nothing/a.jpg",
                                    "images:nothing", "images:nothing/a"])
def test_a_folder_that_may_not_be_written_to_is_exit_code_5(nanoface, folder, output):
    (folder / "nothing").chmod(0o500)
    check(nanoface(*(DEMO + ("--output", output))), OUTPUT, ["output " + output, "Permission denied"])


def test_a_window_without_a_display_is_exit_code_5(nanoface):
    done = nanoface(*(DEMO + ("--output", "window")), DISPLAY="", WAYLAND_DISPLAY="")
    check(done, OUTPUT, ["output window", "--output video:PATH.mp4"])


def test_one_bad_output_among_good_ones_is_named(nanoface):
    words = ("--output", "jsonl:a.jsonl", "--output", "csv:text.mp4/a.csv", "--output", "images:pictures")
    check(nanoface(*(DEMO + words)), OUTPUT, ["output csv:text.mp4/a.csv"])
