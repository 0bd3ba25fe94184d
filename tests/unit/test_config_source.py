"""Where a source may be written: the command line, the environment, the configuration, a file of its own."""
import logging
import os

import pytest

from edge.config.load import load_config
from edge.core import redact
from edge.core.errors import ConfigError

SPEC = "rtsp://me:hunter22@cam/live"


@pytest.fixture
def written(tmp_path):
    def write(name, content, mode=0o600):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        path.chmod(mode)
        return str(path)
    return write


@pytest.mark.parametrize("content", [SPEC, SPEC + "\n", "\n  " + SPEC + " \r\n", "\ufeff" + SPEC])
def test_a_file_with_one_line_is_the_source(written, content):
    source = load_config(None, {"source.spec_file": written("spec", content)}, {}).source
    assert source.spec == SPEC and redact.hide("401 for hunter22") == "401 for ***"


@pytest.mark.parametrize("content, part", [
    (b"", "is empty"), (b"\n \n", "is empty"), (b"a\nb\n", "more than one line"), (b"\xff\xfe\x00", "is no text"),
    (b"a\0b", "is no text"), (b"x" * 5000, "more than one line"), (b"\x1b[2J", "is no text"),
])
def test_another_file_is_one_line_with_the_cure(written, content, part):
    with pytest.raises(ConfigError) as caught:
        load_config(None, {"source.spec_file": written("spec", content)}, {})
    text = str(caught.value)
    assert "source.spec_file" in text and part in text and "on one line" in text and "\n" not in text


@pytest.mark.parametrize("make", [
    lambda path: None, os.mkdir, os.mkfifo, lambda path: os.symlink("/dev/zero", path), lambda path: os.symlink(path, path),
    lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 1 << 30),
], ids=["absent", "a folder", "a pipe", "a device without an end", "a link to itself", "a gigabyte"])
def test_what_is_no_such_file_is_refused_at_once(tmp_path, make):
    path = str(tmp_path / "spec")
    make(path)
    with pytest.raises(ConfigError, match="source.spec_file"):
        load_config(None, {"source.spec_file": path}, {})


@pytest.mark.parametrize("where, expected", [
    ("file", "1"), ("file environment", "2"), ("file environment option", "3"), ("spec_file", "4"),
    ("spec_file environment", "2"),
    ("spec_file option", "3"), ("file option_file", "4"), ("environment option_file", "4"),
])
def test_the_command_line_wins_over_the_environment_over_the_file(written, where, expected):
    own = written("spec", "4")
    text = {"file": "source: {spec: 1}", "spec_file": "source: {{spec_file: {}}}".format(own)}
    lines = [text[word] for word in where.split() if word in text]
    path = written("c.yaml", lines[0]) if lines else written("c.yaml", "")
    overrides = {"source.spec": "3"} if where.endswith("option") else {}
    if where.endswith("option_file"):
        overrides = {"source.spec_file": own}
    environ = {"NANOFACE_SOURCE": "2"} if "environment" in where else {}
    assert load_config(path, overrides, environ).source.spec == expected


def test_both_in_one_place_contradict_each_other(written):
    path = written("c.yaml", "source:\n  spec: 1\n  spec_file: /x\n")
    with pytest.raises(ConfigError, match=r"c.yaml:3: source.spec and source.spec_file are both set"):
        load_config(path, {}, {})


@pytest.mark.parametrize("spec, mode, told", [(SPEC, 0o644, True), (SPEC, 0o640, False), ("rtsp://cam/live", 0o644, False)])
@pytest.mark.parametrize("kind", ["spec_file", "configuration"])
def test_a_password_in_a_file_that_all_may_read_is_reported_with_the_cure(written, caplog, kind, spec, mode, told):
    own = written("spec", spec, mode if kind == "spec_file" else 0o600)
    text = "source: {{spec_file: {}}}".format(own) if kind == "spec_file" else "source: {{spec: '{}'}}".format(spec)
    path = written("c.yaml", text, mode)
    with caplog.at_level(logging.WARNING):
        load_config(path, {}, {})
    assert ["chmod o= " + (own if kind == "spec_file" else path) in r.getMessage() for r in caplog.records] == [True] * told


@pytest.mark.parametrize("overrides, environ, told", [
    ({"source.spec": SPEC}, {}, True), ({"source.spec": "rtsp://cam/x"}, {}, False), ({}, {"NANOFACE_SOURCE": SPEC}, False),
])
def test_a_password_on_the_command_line_is_reported(written, caplog, overrides, environ, told):
    with caplog.at_level(logging.WARNING):
        assert load_config(written("c.yaml", ""), overrides, environ).source.spec in (SPEC, "rtsp://cam/x")
    assert any("NANOFACE_SOURCE" in record.getMessage() for record in caplog.records) is told
    assert "hunter22" not in caplog.text


def test_a_system_without_the_flags_of_posix_reads_it_too(written, monkeypatch):
    for flag in ("O_NONBLOCK", "O_CLOEXEC"):
        monkeypatch.delattr(os, flag)
    assert load_config(None, {"source.spec_file": written("spec", SPEC)}, {}).source.spec == SPEC
