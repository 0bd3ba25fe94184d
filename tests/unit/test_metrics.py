"""The endpoint for Prometheus, asked over HTTP."""
import re
import socket
import sys
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest
from patience import PATIENCE_S

from edge import __version__
from edge.core.errors import ConfigError, OutputError
from edge.core.packet import Frame, Packet, Span
from edge.telemetry.histogram import Histogram
from edge.telemetry.meter import Meter
from edge.telemetry.metrics import Metrics, _outputs

ANY_PORT = ("127.0.0.1", 0)
RECORD = {
    "state": "DEGRADED", "reason": "throttled", "uptime_s": 12.5, "fps": {"capture": 30.0, "output": 29.5}, "faces": 2,
    "outputs": {'vmc:"x"': {"sent": 7, "dropped": 1, "failed": 2, "state": "down"}}, "log": {"written": 5, "failed": 3},
    "stages": {"detect": {"backend": "tensorrt 8.2.1.8"}, "express": {"count": 4}},
    "board": {"model": "Jetson Nano", "gpu_load": 0.41, "gpu_mhz": 921.6, "cpu_mhz": 1428.0, "temp_c": {"GPU": 46.5},
              "power_mw": 4200, "memory_mb": {"used": 1480, "total": 3964}, "nvpmodel": "MAXN", "throttled": True},
}


class Stage:
    name, runners, note = "detect", (), ""

    def counters(self):
        return {"skipped": 4}


def busy_meter():
    """Four frames: 10, 20, 30 and 400 ms in the only stage, after 1 ms of waiting; and one that was dropped."""
    meter = Meter([Stage()], 0.0)
    for n, work_s in enumerate((0.010, 0.020, 0.030, 0.400)):
        span = Span("detect", 1.0, 1.001, 1.001 + work_s)
        meter.finished(Packet(Frame(n, 1.0, 0.0, np.zeros((2, 2, 3), np.uint8)), (), (span,)), span.finished_at)
    meter.left((), dropped_by="detect")
    return meter


@pytest.fixture
def serve():
    pytest.importorskip("prometheus_client")
    running = []

    def start(record=RECORD, address=ANY_PORT, totals=None):
        running.append(Metrics(address, totals or busy_meter().totals, lambda: record))
        return running[-1]

    yield start
    for metrics in running:
        metrics.close()


def get(metrics, path="/metrics"):
    with urllib.request.urlopen("http://{}:{}{}".format(*metrics.address, path), timeout=PATIENCE_S) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        return answer.read().decode("utf-8")


def value(page, line):
    found = re.search("^{} (.+)$".format(re.escape(line)), page, re.MULTILINE)
    assert found, "{} is not in\n{}".format(line, page)
    return float(found.group(1))


def test_everything_that_is_known_is_served(serve):
    page = get(serve())
    expected = {
        'nanoface_state{state="DEGRADED"}': 1, 'nanoface_state{state="RUNNING"}': 0, 'nanoface_fps{at="output"}': 29.5,
        "nanoface_faces": 2, "nanoface_uptime_seconds": 12.5,
        'nanoface_stage_seconds_count{part="work",stage="detect"}': 4,
        'nanoface_stage_seconds_bucket{le="0.05",part="work",stage="detect"}': 3,
        'nanoface_stage_seconds_bucket{le="0.2",part="work",stage="detect"}': 3,
        'nanoface_stage_seconds_bucket{le="0.5",part="work",stage="detect"}': 4,
        'nanoface_stage_seconds_bucket{le="+Inf",part="wait",stage="detect"}': 4,
        'nanoface_dropped_frames_total{stage="detect"}': 1,
        'nanoface_stage_events_total{event="skipped",stage="detect"}': 4,
        'nanoface_output_items_total{output="vmc:\\"x\\"",was="sent"}': 7, 'nanoface_output_up{output="vmc:\\"x\\""}': 0,
        "nanoface_status_records_lost_total": 3, "nanoface_board_gpu_load_ratio": 0.41, "nanoface_board_power_watts": 4.2,
        "nanoface_board_gpu_hertz": 921.6e6, "nanoface_board_cpu_hertz": 1428e6,
        "nanoface_board_throttled": 1, 'nanoface_board_celsius{zone="GPU"}': 46.5,
        'nanoface_board_memory_bytes{kind="used"}': 1480 * 2 ** 20, "nanoface_latency_seconds_count": 4,
    }
    plain = re.sub(r"\{stage=\"(\w+)\",part=\"(\w+)\",le=\"([^\"]+)\"\}", r'{le="\3",part="\2",stage="\1"}', page)
    plain = re.sub(r"\{stage=\"(\w+)\",(part|event)=\"(\w+)\"\}", r'{\2="\3",stage="\1"}', plain)
    assert {line: value(plain, line) for line in expected} == expected
    total_s = value(plain, 'nanoface_stage_seconds_sum{part="work",stage="detect"}')
    assert total_s == pytest.approx(0.460)


@pytest.mark.parametrize("release, l4t", [("# R32 (release), REVISION: 7.1, GCID: 29818004", "32.7.1"), ("", "")])
def test_what_runs_is_reported_once_with_the_value_1(serve, monkeypatch, release, l4t):
    monkeypatch.setattr("edge.telemetry.board.files.read_text", lambda *_: release)
    told = re.findall("^nanoface_build_info{(.+)} 1.0$", get(serve()), re.MULTILINE)
    assert [dict(re.findall(r'(\w+)="([^"]*)"', labels)) for labels in told] == [
        {"version": __version__, "l4t": l4t, "runtime": "tensorrt 8.2.1.8"}]


def test_names_are_in_base_units_without_prefixes(serve):
    names = re.findall(r"^# TYPE (\S+) (\S+)$", get(serve()), re.MULTILINE)
    assert len(names) > 15
    for name, kind in names:
        assert not re.search("milli|kilo|mega|giga|_m?hz$|_mb$|_ms$|percent|_mw", name), name
        assert (kind == "counter") == name.endswith("_total"), name


def test_what_is_not_known_is_absent_and_no_error(serve):
    page = get(serve({"state": "STARTING"}, totals=Meter([], 0.0).totals), "/metrics?x=1")
    assert value(page, 'nanoface_state{state="STARTING"}') == 1
    assert "nanoface_board" not in page and "nanoface_faces" not in page


def test_counters_go_on_where_the_status_records_intervals_end(serve):
    meter = busy_meter()
    metrics = serve(totals=meter.totals)
    meter.take(5.0)
    assert value(get(metrics), "nanoface_latency_seconds_count") == 4


def test_another_page_is_not_there(serve):
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(serve(), "/secrets")
    assert caught.value.code == 404
    caught.value.close()


def test_a_port_that_is_taken_is_one_line_with_its_cure(serve):
    taken = serve()
    with pytest.raises(OutputError) as caught:
        serve(address=taken.address)
    assert str(taken.address[1]) in str(caught.value) and "take another port" in str(caught.value)


def test_a_host_that_is_not_ours_is_one_line(serve):
    with pytest.raises(OutputError, match="metrics.address"):
        serve(address=("no-such-host.invalid", 9464))


def test_close_frees_the_port_and_the_thread(serve):
    metrics = serve()
    assert "nanoface_state" in get(metrics)
    metrics.close()
    assert not [t for t in threading.enumerate() if t.name == "nanoface-metrics"]
    with pytest.raises(OSError):
        socket.create_connection(metrics.address, timeout=2.0)


def test_without_the_package_the_cure_is_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigError, match="-m pip install 'prometheus_client>="):
        Metrics(ANY_PORT, lambda: None, dict)


def test_a_histogram_reports_its_sum_and_what_lies_below_a_limit():
    histogram, other = Histogram(), Histogram()
    histogram.extend([0.0, 0.001, 0.0099])
    other.extend([0.5, 20000.0])
    histogram.merge(other)
    assert histogram.total_s == pytest.approx(20000.5109)
    assert histogram.up_to([0.0005, 0.002, 0.0101, 1.0, 1e9]) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("state, up", [
    ("ok", 1), ("2 receivers", 1), ("nobody receives it", 1), ("waits: for permission", 1), ("down: no route", 0),
    ("down", 0), ("failed: KeyError", 0), ("opening", 0), ("closed", 0), ("its reader has left", 0), (None, 0),
])
def test_an_output_is_up_however_it_says_that_it_works(state, up):
    stats = {"sent": 1, "refused": 4} if state is None else {"sent": 1, "refused": 4, "state": state}
    items, is_up, _ = _outputs({"outputs": {"x": stats}})
    assert [sample.value for sample in is_up.samples] == [up]
    assert {sample.labels["was"]: sample.value for sample in items.samples} == {"sent": 1, "refused": 4}


def test_each_network_is_named_with_its_stage(serve):
    stages = {"align": {"model": "my.onnx", "backend": "openvino"}, "express": {"backend": ""}, "detect": {"model": "yunet_s"}}
    page = get(serve(dict(RECORD, stages=stages)))
    told = re.findall('^nanoface_network_info{(.+)} 1.0$', page, re.MULTILINE)
    assert [dict(re.findall(r'(\w+)="([^"]*)"', labels)) for labels in told] == [
        {"stage": "align", "network": "my.onnx"}, {"stage": "detect", "network": "yunet_s"}]
