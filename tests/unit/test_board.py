"""The `board` of the status record: from the files of a Nano, and from jetson-stats, whatever that does."""
import os
import sys
import threading
import time
import types

import pytest
from fakes.board import GPU, RAIL, RUNNING, THERMAL
from patience import PATIENCE_S, stretch, wait_until

from edge.telemetry.board import files
from edge.telemetry.board.files import BoardFiles
from edge.telemetry.board.jtop import NO_ANSWER, JtopClient, figures_of
from edge.telemetry.board.reader import CLEAR_READINGS, BoardReader, record_of


def tree(folder, **changes):
    for name, text in dict(RUNNING, **changes).items():
        write(folder, name, text)
    return str(folder)


def write(folder, name, text):
    path = os.path.join(str(folder), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


@pytest.fixture
def reader_of():
    """Makes readers, and closes them."""
    made = []

    def make(root, **options):
        made.append(BoardReader(root, interval_s=0.02, **dict({"jtop": False}, **options)))
        return made[-1]

    yield make
    for reader in made:
        reader.close()


def test_the_record_of_a_nano_is_as_the_schema_has_it(tmp_path, reader_of):
    reader = reader_of(tree(tmp_path))
    wait_until(lambda: reader.read() is not None)
    assert reader.read() == {
        "model": "NVIDIA Jetson Nano Developer Kit", "gpu_load": 0.42, "gpu_mhz": 921.6, "cpu_mhz": 1428.0,
        "temp_c": {"AO": 41.5, "GPU": 39.0}, "power_mw": 4523, "rails_mw": {"POM_5V_IN": 4523, "POM_5V_GPU": 1210},
        "memory_mb": {"used": 1964, "total": 3964, "swap_used": 100}, "nvpmodel": "MAXN", "throttled": False}


def test_off_a_board_there_is_nothing_and_no_thread(tmp_path, reader_of):
    write(tmp_path, "proc/meminfo", RUNNING["proc/meminfo"])
    before = set(threading.enumerate())
    assert reader_of(str(tmp_path), jtop=True).read() is None
    assert set(threading.enumerate()) <= before


def test_a_board_that_reports_nothing_still_has_a_name(tmp_path, reader_of):
    write(tmp_path, "etc/nv_tegra_release", RUNNING["etc/nv_tegra_release"])
    reader = reader_of(str(tmp_path))
    wait_until(lambda: reader.read() is not None)
    assert reader.read() == {"model": "Jetson", "throttled": False}


@pytest.mark.parametrize("name, text, sign", [
    (THERMAL + "cooling_device1/cur_state", "2\n", "gpu-balanced"), (RAIL + "in_voltage0_input", "4610\n", "under-voltage"),
])
def test_throttling_is_reported_with_its_cause_and_held_for_some_readings(tmp_path, reader_of, monkeypatch, name, text, sign):
    reader = reader_of(tree(tmp_path))
    write(tmp_path, name, text)
    wait_until(lambda: (reader.read() or {}).get("throttled"))
    assert reader.read()["throttled_by"] == [sign]
    looks = []
    reading = BoardFiles.read
    monkeypatch.setattr(BoardFiles, "read", lambda self: looks.append(1) or reading(self))
    write(tmp_path, name, RUNNING[name])
    wait_until(lambda: not reader.read()["throttled"])
    assert len(looks) >= CLEAR_READINGS and "throttled_by" not in reader.read()


def test_what_is_no_number_has_no_key(tmp_path):
    found = BoardFiles(tree(tmp_path, **{GPU + "load": "busy", RAIL + "in_power0_input": "", "proc/meminfo": "nonsense"}))
    told = record_of(found.read())
    assert "gpu_load" not in told and "memory_mb" not in told and "power_mw" not in told
    assert told["rails_mw"] == {"POM_5V_GPU": 1210}


def test_only_the_files_that_were_found_are_read_again(tmp_path, monkeypatch):
    found, reads = BoardFiles(tree(tmp_path)), []
    reading = files.read_text
    monkeypatch.setattr(files, "read_text", lambda root, path: reads.append(path) or reading(root, path))
    monkeypatch.setattr(files, "glob", lambda pattern: pytest.fail("looked for files again"))
    found.read()
    assert 10 < len(reads) < 60 and len(set(reads)) == len(reads)


STATS_4 = {"time": 0, "CPU1": 12, "CPU4": "OFF", "RAM": 0.4, "GPU": 42.5, "Fan pwmfan0": 20.0, "Temp CPU": 41.0,
           "Temp GPU": 39.5, "Temp PMIC": -256, "Power TOT": 4523, "jetson_clocks": "OFF", "nvp model": "MAXN"}
STATS_3 = {"GPU": 42.5, "Temp GPU": 39.5, "Temp CPU": 41.0, "power cur": 4523, "power avg": 4000, "nvp model": "MAXN"}


@pytest.mark.parametrize("stats", [STATS_4, STATS_3])
def test_both_versions_of_jetson_stats_give_the_same(stats):
    assert figures_of(stats) == {"gpu_load": 0.425, "temp_c": {"CPU": 41.0, "GPU": 39.5}, "power_mw": 4523,
                                 "nvpmodel": "MAXN"}


def test_jetson_stats_that_reports_nothing_is_no_trouble():
    assert figures_of({"GPU": "OFF", "Power TOT": None}) == {}


class FakeJtop:
    """In the place of jtop.jtop; a test sets what start() and ok() do."""

    made = []

    def __init__(self, interval):
        FakeJtop.made.append(self)
        self.stats, self.closed = dict(STATS_4), 0

    def start(self):
        FakeJtop.on_start(self)

    def ok(self):
        return FakeJtop.on_ok(self)

    def close(self):
        self.closed += 1


@pytest.fixture
def fake(monkeypatch):
    FakeJtop.made = []
    FakeJtop.on_start = lambda self: None
    FakeJtop.on_ok = lambda self: time.sleep(0.002) or True
    monkeypatch.setitem(sys.modules, "jtop", types.SimpleNamespace(jtop=FakeJtop))
    return FakeJtop


def closed(client):
    client.close()
    wait_until(lambda: not [t for t in threading.enumerate() if t.name == "jtop client"])


def test_figures_come_while_it_answers_and_it_is_closed_by_us(fake):
    client = JtopClient()
    wait_until(client.figures)
    assert client.figures()["power_mw"] == 4523 and client.trouble == ""
    closed(client)
    assert [made.closed for made in fake.made] == [1]


def test_a_service_that_accepts_and_says_nothing_hangs_nobody_else(fake, tmp_path, reader_of):
    hold = threading.Event()
    fake.on_start = lambda self: hold.wait(PATIENCE_S)
    reader = reader_of(tree(tmp_path), jtop=True)
    wait_until(lambda: fake.made and reader.read() is not None)
    began = time.monotonic()
    assert reader.read()["power_mw"] == 4523
    reader.close()
    assert time.monotonic() - began < 1.0 * stretch()
    hold.set()


@pytest.mark.parametrize("error, trouble", [
    (RuntimeError("The jtop.service is not active. Please run:\nsudo systemctl restart jtop.service"),
     "The jtop.service is not active. Please run: sudo systemctl restart jtop.service"),
    (KeyError("init"), "'init'"), (EOFError(), "EOFError"),
])
def test_whatever_it_raises_is_kept_and_it_is_tried_again(fake, error, trouble):
    def on_start(self):
        if len(fake.made) < 3:
            raise error

    fake.on_start = on_start
    client = JtopClient(again_s=0.01)
    wait_until(lambda: client.trouble or client.figures())
    assert client.trouble in (trouble, "")
    wait_until(client.figures)
    assert len(fake.made) == 3 and client.trouble == "" and [made.closed for made in fake.made[:2]] == [1, 1]
    closed(client)


def test_figures_grow_old_when_it_falls_silent(fake):
    now = [100.0]
    fake.on_ok = lambda self: not self.__dict__.setdefault("asked", []) and (self.asked.append(1) or True)
    client = JtopClient(again_s=PATIENCE_S, now=lambda: now[0])
    wait_until(lambda: client.trouble == NO_ANSWER)
    assert client.figures()
    now[0] += 60.0
    assert client.figures() == {}
    closed(client)


def test_a_package_that_is_absent_is_not_asked_for_again(monkeypatch):
    monkeypatch.setitem(sys.modules, "jtop", None)
    client = JtopClient(again_s=0.001)
    wait_until(lambda: not [t for t in threading.enumerate() if t.name == "jtop client"])
    assert client.figures() == {} and client.trouble


def test_it_fills_in_only_what_the_files_do_not_have(fake, tmp_path, reader_of):
    reader = reader_of(tree(tmp_path, **{GPU + "load": "", "var/lib/nvpmodel/status": "pmode:0001\n"}), jtop=True)
    wait_until(lambda: "gpu_load" in (reader.read() or {}))
    told = reader.read()
    assert told["gpu_load"] == 0.425 and told["nvpmodel"] == "5W" and told["temp_c"] == {"AO": 41.5, "GPU": 39.0}


def test_the_real_package_without_its_service():
    pytest.importorskip("jtop", reason="jetson-stats is not installed")
    client = JtopClient(again_s=0.05)
    wait_until(lambda: client.trouble)
    assert ".service is not active" in client.trouble and client.figures() == {}
    closed(client)
