"""Standard output and standard error of every command: no encoding fails, no name steers a terminal, no reader is needed."""
import errno
import io
import json
import os
import re
import subprocess
import sys

import pytest
from in_process import InProcess

from edge.core.errors import OutputError
from edge.host import console
from edge.host.console import Console

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOSTILE = "a\x1b]0;t\x07\x9b2J\r\b\u202e\u2066\x7f"
ASCII = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
COMMANDS = [  # and the exit code where there are no networks
    (["--help"], 0), (["run", "--help"], 0), (["models", "list"], 0), (["models", "check"], 4),
    (["models", "lint", "NAME"], 4),
    (["status", "NAME"], 2), (["run", "--source", "NAME"], 3), (["run", "--config", "NAME"], 2),
    (["doctor"], 1),
    (["doctor", "--json"], 1), (["build", "--list"], 0), (["service", "status", "--root", "NAME"], 2),
    (["run", "NAME", "--nonsense"], 2),
    (["bench", "--source", "NAME"], 3), (["report", "NAME/absent/x"], 5), (["run", "--output", "NAME:x"], 2),
    (["calibrate", "fp16", "--source", "NAME"], 4), (["verify", "NAME"], 2)]
of_each_command = pytest.mark.parametrize("words, code", COMMANDS, ids=[" ".join(words) for words, _ in COMMANDS])


def call(folder, words, terminal=None, **more):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("NANOFACE_", "XDG_"))}
    env.update(PYTHONPATH=ROOT, NANOFACE_HOME=os.path.join(str(folder), "home"), NANOFACE_CONFIG=os.devnull,
               XDG_STATE_HOME=str(folder), **more)
    process = subprocess.Popen([sys.executable, "-m", "edge"] + words, cwd=str(folder), env=env, stdin=subprocess.DEVNULL,
                               stdout=terminal or subprocess.PIPE, stderr=terminal or subprocess.PIPE)
    out, err = process.communicate(timeout=120)
    return process.returncode, out or b"", err or b""


class Terminal(io.StringIO):
    def isatty(self):
        return True


@of_each_command
def test_ascii_terminal_and_a_home_that_is_not(tmp_path, words, code):
    home = os.path.join(os.fsencode(str(tmp_path)), "gr\u00fcn \u4f60\u597d".encode("utf-8"))
    os.mkdir(home)
    home = os.fsdecode(home)
    words = [word.replace("NAME", os.fsdecode("sch\u00f6n.onnx".encode("utf-8"))) for word in words]
    found, out, err = call(home, words, **ASCII)
    said = (out + err).decode("ascii")
    assert found == code and "EncodeError" not in said and "Traceback (" not in said and "internal error (" not in said


@of_each_command
def test_no_name_reaches_the_terminal_as_it_is(tmp_path, capfd, words, code):
    done = InProcess(tmp_path, capfd)(*[word.replace("NAME", HOSTILE + "\nnanoface: forged") for word in words])
    said = done.out + done.err
    assert not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", said), said
    assert 0 <= done.code <= 5 and not re.search("^nanoface: forged", said, re.MULTILINE)


def test_record_of_a_status_log_steers_nothing_and_stays_json(tmp_path):
    row = {"count": 1, "dropped": 0, "backend": HOSTILE, "model": "m\nforged", "note": HOSTILE, HOSTILE: 3}
    record = {"schema": 1, "state": "RUN" + HOSTILE, "reason": HOSTILE + "\nforged", "source": HOSTILE, "uptime_s": 1.0,
              "stages": {"x\nforged" + HOSTILE: row}, "outputs": {HOSTILE + "\nforged": {"state": HOSTILE, "sent": 1}},
              "board": {"model": "\nforged" + HOSTILE}}
    (tmp_path / "log.jsonl").write_text(json.dumps(record) + "\n")
    code, out, _ = call(tmp_path, ["status", "log.jsonl"], PYTHONIOENCODING="utf-8")
    said = out.decode("utf-8")
    assert code == 0 and "\\u001b" in said and not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u202e\u2066]", said)
    assert not re.search("^forged", said, re.MULTILINE)
    code, out, _ = call(tmp_path, ["status", "--json", "log.jsonl"], PYTHONIOENCODING="utf-8")
    assert code == 0 and json.loads(out.decode("ascii")) == record and b"\x7f" not in out


@pytest.mark.parametrize("kind, steered", [("xterm", True), ("dumb", False)])
def test_only_a_terminal_that_can_be_steered_is(tmp_path, kind, steered):
    pty = pytest.importorskip("pty")
    record = {"schema": 1, "state": "RUNNING", "stages": {}, "outputs": {}}
    (tmp_path / "log.jsonl").write_text(json.dumps(record) + "\n")
    ours, theirs = pty.openpty()
    try:
        assert call(tmp_path, ["status", "log.jsonl"], theirs, TERM=kind)[0] == 0
        said = os.read(ours, 4096)
    finally:
        os.close(ours)
        os.close(theirs)
    assert b"RUNNING" in said and (b"\x1b" in said) is steered


def test_what_is_drawn_is_one_line_without_sequences_of_others(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    Console(terminal).draw("50 % " + HOSTILE + "\n" + "x" * 99)
    assert terminal.getvalue().startswith("\r50 % a\\u001b") and len(terminal.getvalue()) == 1 + 19 + len("\x1b[K")
    file = io.StringIO()
    Console(file).draw("50 %")
    assert file.getvalue() == ""


@pytest.fixture
def at(monkeypatch):
    """The clock: a list whose only entry is its time."""
    now = [100.0]
    monkeypatch.setattr(console.clock, "monotonic", lambda: now[0])
    monkeypatch.setenv("TERM", "xterm")
    return now


def test_a_log_gets_a_line_of_progress_once_in_a_while(at):
    stream = io.StringIO()
    line = console.ProgressLine(Console(stream), log_interval_s=10.0)
    for at[0] in (101.0, 109.9, 110.0, 119.9, 120.0):
        line.show("{:.1f}\n".format(at[0]))
    line.begin()
    at[0] = 129.0
    line.show("too early")
    line.end()
    assert stream.getvalue() == "110.0\\n\n120.0\\n\n"


@pytest.mark.parametrize("stays, left", [(True, "\n"), (False, "\r\x1b[K")])
def test_a_terminal_redraws_its_line_as_often_as_it_may_and_keeps_or_wipes_the_last(at, stays, left):
    stream = Terminal()
    line = console.ProgressLine(Console(stream), log_interval_s=0.0, redraw_s=0.1, stays=stays)
    for at[0], text in ((100.0, "a"), (100.05, "b"), (100.11, "c")):
        line.show(text)
    line.end()
    line.end()
    assert stream.getvalue() == "\ra\x1b[K\rc\x1b[K" + left


@pytest.mark.parametrize("number, needed, raises", [
    (errno.EPIPE, True, False), (errno.EIO, True, False), (errno.ENOSPC, True, True), (errno.EBADF, True, True),
    (errno.EPIPE, False, False), (errno.ENOSPC, False, False),
])
def test_stream_that_cannot_be_written_to(number, needed, raises):
    class Broken(io.StringIO):
        def flush(self):
            raise OSError(number, os.strerror(number))

    out = Console(Broken(), needed)
    if raises:
        with pytest.raises(OutputError, match="cannot write to standard output"):
            out.write("a\n")
    else:
        assert out.write("a\n") == 2
    assert out.left and out.write("b\n") == 2  # nobody is bothered again


def test_bytes_of_a_name_that_python_took_for_another_encoding_are_characters_again():
    out = io.StringIO()
    console.on(out).write("gr\udcc3\udcbcn \udcff\n")
    assert out.getvalue() == "gr\u00fcn \\udcff\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
@pytest.mark.parametrize("words", [
    ["--version"], ["run", "--help"], ["models", "list"], ["doctor"], ["doctor", "--json"]], ids=" ".join)
def test_full_disk_behind_standard_output_is_one_line_of_every_command(tmp_path, words):
    with open("/dev/full", "wb") as full:
        process = subprocess.Popen([sys.executable, "-m", "edge"] + words, cwd=str(tmp_path), stdout=full,
                                   env=dict(os.environ, PYTHONPATH=ROOT), stderr=subprocess.PIPE)
        err = process.communicate(timeout=120)[1]
    assert (process.returncode, err) == (5, b"nanoface: cannot write to standard output: the disk is full\n")
