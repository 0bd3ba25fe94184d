"""Files of /sys and /proc, jetson-stats, systemd, status logs: their figures are finite numbers, or none."""
import json
import os

import pytest

from edge.cli import main as cli
from edge.core.errors import ConfigError
from edge.telemetry.board import files
from edge.telemetry.board.jtop import figures_of
from edge.telemetry.notify import Notifier
from edge.telemetry.status import read
from edge.telemetry.status.file import mode_of

THERMAL = "sys/devices/virtual/thermal/"
RECORD = {"schema": 1, "state": "RUNNING", "stages": {"detect": {"count": 1}}, "uptime_s": 1.0}


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "9" * 5000, "", "x", "\0"])
def test_what_a_board_cannot_mean_is_left_out(tmp_path, text):
    for name in (THERMAL + "thermal_zone0/temp", THERMAL + "cooling_device0/cur_state", "sys/devices/57000000.gpu/load"):
        write(tmp_path, name, text)
    write(tmp_path, "var/lib/nvpmodel/status", "pmode:" + text)
    write(tmp_path, "proc/meminfo", "MemTotal: {} kB\n".format(text))
    write(tmp_path, "etc/nv_tegra_release", "# R{0} (release), REVISION: {0}.{0}".format(text))
    reading = files.BoardFiles(str(tmp_path)).read()
    assert (reading.gpu_load, reading.temperatures_c, reading.slowed_by, reading.memory_mb) == (None, {}, {}, {})
    assert files.power_mode(str(tmp_path)) is None
    assert files.l4t_version(files.read_text(str(tmp_path), files.RELEASE)) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10 ** 400, None, "OFF", [], True])
def test_what_jetson_stats_cannot_mean_is_left_out(value):
    assert figures_of({"GPU": value, "Temp CPU": value, "Power TOT": value}) == {}


@pytest.mark.parametrize("text, interval_s", [
    ("30000000", 30.0), ("0", None), ("-1", None), ("9" * 400, None), ("9" * 5000, None), ("", None), ("nan", None)])
def test_a_watchdog_of_no_possible_interval_is_none(text, interval_s):
    assert Notifier({"WATCHDOG_USEC": text}).watchdog_s == interval_s


@pytest.mark.parametrize("text, mode", [("0644", 0o644), ("600", 0o600), ("9", None), ("7" * 1000, None), ("", None)])
def test_a_mode_of_no_possible_file_is_none(text, mode):
    assert mode_of({"NANOFACE_STATUS_MODE": text}) == mode


@pytest.mark.parametrize("change", [
    {"uptime_s": float("inf")}, {"uptime_s": float("nan")}, {"uptime_s": -1e308}, {"uptime_s": 10 ** 299}, {"uptime_s": []},
    {"at": "9999-99-99"}, {"at": 5}, {"fps": [1]}, {"latency_ms": {"p50": "x"}}, {"stages": [[]]}, {"stages": {"a": 1}},
    {"stages": {"a": {"wait_ms": {"p50": float("inf")}}}}, {"outputs": {"a": []}}, {"board": 3}, {"board": {"temp_c": []}},
    {"board": {"temp_c": {"a": "x"}}}, {"governor": {"given_up": [1]}}, {"reason": {"a": 1}}, {"source": 5}, {"log": [1]},
    {"faces": float("-inf")}, {"state": "\ud800\x1b[2J"}, {"reason": [[[[]]]]},
])
@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_status_record_of_any_values_is_shown_or_is_one_line(tmp_path, capsys, change, words):
    path = tmp_path / "s.jsonl"
    path.write_bytes(json.dumps(dict(RECORD, **change)).encode() + b"\n")
    code = cli.main(["status", str(path)] + list(words))
    told = capsys.readouterr()
    assert code in (0, 2) and "internal error" not in told.err and "\x1b" not in told.out
    assert (code == 0) == (told.err == "") and told.err.count("\n") <= 1


@pytest.mark.parametrize("line", [
    b"[" * 60000, b'{"schema": 1, "state": "a", "uptime_s": ' + b"9" * 60000 + b"}", b"\xff" * 100])
def test_a_status_log_of_anything_is_no_status_log(tmp_path, line):
    path = tmp_path / "s.jsonl"
    path.write_bytes(line + b"\n")
    with pytest.raises(ConfigError) as e:
        read.read_last(str(path))
    assert "no status record" in str(e.value)


class Stop:
    """Is set when it has been asked so often."""

    def __init__(self, looks):
        self.looks = looks

    def is_set(self):
        self.looks -= 1
        return self.looks < 0

    def wait(self, timeout_s):
        return False


def test_followed_records_come_in_pieces_and_a_line_without_an_end_is_forgotten(tmp_path):
    path = tmp_path / "s.jsonl"
    lines = [json.dumps(dict(RECORD, count=n)).encode() for n in range(5000)]
    path.write_bytes(b"")
    records = read.follow(str(path), Stop(3), 0.0)
    with open(str(path), "ab") as f:
        f.write(lines[0] + b"\n")
    assert next(records)["count"] == 0
    with open(str(path), "ab") as f:
        f.write(b"\n".join(lines[1:]) + b"\n" + b"x" * 1000000 + b"\n" + lines[0] + b"\n")
    assert [record["count"] for record in records] == list(range(1, 5000)) + [0]


def test_a_pipe_is_not_followed(tmp_path):
    os.mkfifo(str(tmp_path / "s.jsonl"))
    with pytest.raises(ConfigError) as e:
        next(read.follow(str(tmp_path / "s.jsonl"), Stop(3), 0.0))
    assert "no regular file" in str(e.value)
