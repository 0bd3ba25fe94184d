"""What comes from outside is read in bounded time and memory, and what is wrong with it is one line of the right error."""
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from edge.config.file import UserFile, read_file
from edge.config.load import load_config
from edge.config.yamlreading import NotYaml, parse_yaml
from edge.core.errors import ConfigError, SourceError
from edge.host.reading import at_most, can_be_name, open_regular, parse_json, read_json, read_small

NINE = 9  # of each level of a bomb


@pytest.mark.parametrize("data, told", [
    (b"[" * 500000, "too deeply"), (b'{"a":' * 100000, "too deeply"), (b"9" * 1000000, "1000000 digits"),
    (b'{"a": NaN}', "NaN"), (b"-Infinity", "-Infinity"), (b"1e999", "1e999"), (b"", ""), (b"\xff\xfe1\0", "utf-8"),
    (b"{} x", "Extra"),
])
def test_what_is_no_bounded_json_is_a_value_error(data, told):
    with pytest.raises(ValueError) as e:
        parse_json(data)
    assert told in str(e.value)


def test_json_may_begin_with_a_mark_of_its_encoding_and_numbers_go_into_a_float():
    value = parse_json(b'\xef\xbb\xbf{"a": [1, -2.5, ' + b"9" * 300 + b"]}")
    assert value["a"][:2] == [1, -2.5] and float(value["a"][2]) == 1e300


def test_texts_of_a_store_can_be_paths(tmp_path):
    (tmp_path / "good.json").write_text(json.dumps({"file": "\u00fc.onnx"}))
    (tmp_path / "half.json").write_text(json.dumps({"file": "\ud800.onnx"}))
    assert read_json(str(tmp_path / "good.json")) == {"file": "\u00fc.onnx"}
    with pytest.raises(ValueError):
        read_json(str(tmp_path / "half.json"))


def test_a_long_file_is_refused_and_no_pipe_or_device_is_waited_for(tmp_path):
    (tmp_path / "long").write_bytes(b"x" * 11)
    assert read_small(str(tmp_path / "long"), 11) == b"x" * 11
    with pytest.raises(ValueError):
        read_small(str(tmp_path / "long"), 10)
    with open("/dev/zero", "rb") as f, pytest.raises(ValueError):
        at_most(f, 1000)
    os.mkfifo(str(tmp_path / "pipe"))
    for path in (str(tmp_path / "pipe"), "/dev/zero", str(tmp_path)):
        for read in (read_small, open_regular):
            with pytest.raises(OSError):
                read(path)


@pytest.mark.parametrize("text, possible", [("a", True), ("\udce9", True), ("a\0", False), ("\ud800", False)])
def test_what_can_be_the_name_of_a_file(text, possible):
    assert can_be_name(text) is possible


def bomb(first, level):
    """Each line nine times the one before."""
    lines = ["a0: &a0 " + first] + ["a{}: &a{} {}".format(n, n, level.format(",".join(["*a{}".format(n - 1)] * NINE)))
                                    for n in range(1, 13)]
    return "\n".join(lines) + "\n"


BOMBS = [
    ("lists", bomb("[x]", "[{}]"), ""), ("merges", bomb("{k: 1, l: 2}", "{{<<: [{}]}}"), ""),
    ("key", bomb("[x]", "[{}]") + "? *a12\n: 1\n", "unhashable"), ("itself", "source: &a [*a]\n", "source is"),
    ("merged", "a: &a {" + ",".join("k%d: 1" % n for n in range(1000)) + "}\n" + "".join(
        "b%d: {<<: *a}\n" % n for n in range(1000)), "are merged"),
    ("itself merged", "a: &a {<<: *a}\n", ""), ("sixties", "a: 1" + ":59" * 300000 + "\n", "characters"),
    ("sixties and a half", "a: 1" + ":59" * 300000 + ".5\n", "characters"), ("digits", "a: " + "9" * 900000, "characters"),
    ("hexadecimal", "a: 0x" + "f" * 900000, "characters"), ("lists in lists", "[" * 400000, "deeply"),
    ("maps in maps", "{a: " * 200000, "deeply"), ("dashes", "- " * 400000, "deeply"),
    ("keys of keys", "? " * 400000, "deeply"),
    ("many", "- a\n" * 200000, "more than 20000"), ("no digits", "a: !!int ''\n", "cannot be read"),
    ("no flag", "a: !!bool x\n", "cannot be read"), ("no number", "a: !!float ''\n", "cannot be read"),
    ("no time", "a: !!timestamp x\n", "cannot be read"), ("no day", "a: 2001-13-45\n", "cannot be read"),
    ("code", "a: !!python/object/apply:os.getcwd []\n", "could not determine"),
    ("half", 'source: {spec: "\\ud800"}', "source.spec"),
    ("no character", 'a: "\\UFFFFFFFF"', "cannot be read"), ("nul", "a: \0", "special characters"),
    ("tab", "a:\n\tb: 1", "spaces"),
]


@pytest.mark.parametrize("text, told", [case[1:] for case in BOMBS], ids=[case[0] for case in BOMBS])
def test_yaml_that_costs_minutes_or_gigabytes_is_one_line_at_once(tmp_path, text, told):
    path = tmp_path / "c.yaml"
    path.write_bytes(text.encode("utf-8"))
    began_s = time.process_time()
    with pytest.raises(ConfigError) as e:
        load_config(str(path), {}, {})
    assert time.process_time() - began_s < 10.0
    assert told in str(e.value) and "c.yaml" in str(e.value) and "\n" not in str(e.value) and len(str(e.value)) < 500


def test_yaml_that_means_something_still_does():
    node, value = parse_yaml("a: &x {b: 1, c: 1:30}\nd: {<<: *x, b: 2}\n")
    assert value["d"] == {"b": 2, "c": 90} and node.value[0][0].start_mark.line == 0
    assert parse_yaml("# nothing\n") == (None, None)
    with pytest.raises(NotYaml) as e:
        parse_yaml("a: 1\nb: ]\n")
    assert e.value.line == 2


def test_a_configuration_may_come_through_a_pipe(tmp_path):
    path = str(tmp_path / "pipe")
    os.mkfifo(path)

    def feed():
        with open(path, "w") as f:
            f.write("tracking: {max_faces: 2}\n")
    feeder = threading.Thread(target=feed)
    feeder.start()
    found = read_file(UserFile(path, "--config"))
    feeder.join()
    assert found["tracking.max_faces"].value == 2


def test_a_configuration_without_an_end_is_refused():
    with pytest.raises(ConfigError) as e:
        read_file(UserFile("/dev/zero", "--config"))
    assert "more than" in str(e.value)


WAITING = r"""
import os, sys, threading
from edge.host.stop import SIGNALS, leave
if sys.argv.pop(1) == "noted":
    SIGNALS.note()
from edge.cli import main as cli
threading.Timer(1.0, os.write, (1, b"waits\n")).start()  # print() holds no reference to the stream that the end removes
leave(cli.main(sys.argv[1:]))
"""
INTERRUPTED = (130, "nanoface: interrupted\n")


@pytest.mark.parametrize("noted", ["noted", "not noted"])  # as the installed command does; as a program of others
@pytest.mark.parametrize("words, told", [
    (("run",), (0, "")), (("status",), INTERRUPTED), (("status", "--follow"), (0, "")), (("doctor",), INTERRUPTED),
], ids=lambda value: " ".join(map(str, value)))
def test_the_first_ctrl_c_ends_the_waiting_for_a_pipe(tmp_path, words, told, noted):
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    command = [sys.executable, "-c", WAITING, noted] + list(words) + ["--config", path]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               universal_newlines=True)
    assert process.stdout.readline() == "waits\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60.0)
    assert (process.returncode, err) == told


@pytest.mark.parametrize("change, told", [
    ({"fx": 10 ** 299}, "no camera"), ({"width": 1e200}, "no camera"), ({"fy": 1e-300}, "no camera"),
    ({"distortion": [1e308] * 5}, "no camera"), ({"distortion": {"k1": 0}}, "number"), ({"fx": float("inf")}, "positive"),
    ({"cx": [[]]}, "number"), ({"fx": "9" * 100}, "no camera"),
])
def test_intrinsics_that_no_camera_has_are_one_line(tmp_path, change, told):
    cam = pytest.importorskip("edge.geometry.camera")
    good = {"fx": 600, "fy": 600, "cx": 319.5, "cy": 239.5, "width": 640, "height": 480}
    path = tmp_path / "k.json"
    path.write_text(json.dumps(dict(good, **change)))
    with pytest.raises(ConfigError) as e:
        cam.load(str(path))
    assert told in str(e.value) and "k.json" in str(e.value)


@pytest.mark.parametrize("data, told", [
    (b"[" * 500000, "deeply"), (b'{"fx": ' + b"9" * 900000 + b"}", "digits"), (b"[" + b"{}," * 600000 + b"{}]", "more than"),
    (b"\xff\xfe", "utf-8"),
])
def test_intrinsics_that_are_no_small_json_are_one_line(tmp_path, data, told):
    cam = pytest.importorskip("edge.geometry.camera")
    path = tmp_path / "k.json"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as e:
        cam.load(str(path))
    assert told in str(e.value)


def test_no_pipe_is_waited_for_as_intrinsics_or_certificates(tmp_path):
    cam = pytest.importorskip("edge.geometry.camera")
    from edge.sources.origin import Trust

    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    with pytest.raises(ConfigError) as e:
        cam.load(path)
    assert "no regular file" in str(e.value)
    for wrong in (path, "/dev/zero"):
        with pytest.raises(SourceError) as e:
            Trust(ca_file=wrong).context()
        assert "source.ca_file" in str(e.value) and "no regular file" in str(e.value)


@pytest.mark.parametrize("address", [
    "rtsp://[bad", "rtsp://[::1", "RTSP://[", "rtsp://x:99999/", "rtsp://x:y/", "http://ex\u2100mple/", "rtsp://@",
    "rtsp://:@:/x", "http:///x", "rtsp://u:p@[1:2",
])
def test_what_is_no_address_is_reported_before_anything_is_waited_for(address):
    stream = pytest.importorskip("edge.sources.live.stream")
    with pytest.raises(SourceError) as e:
        stream.StreamOpener(address)
    assert "no address" in str(e.value) and "u:p" not in str(e.value)


def test_a_camera_of_five_thousand_digits_is_none():
    from edge.sources import spec

    for text in ("9" * 5000, "-" + "9" * 5000, "\u0663"):
        with pytest.raises(SourceError):
            spec.classify(text)


@pytest.mark.parametrize("word", ["rtsp://u:p\udce9ss@host/x", "rtsp://u:p\ud800ss@host/x"])
def test_a_password_that_is_no_utf8_is_hidden(word):
    from edge.core.redact import Secrets

    known = Secrets()
    known.learn(word)
    assert "ss@" not in known.hide(word)
