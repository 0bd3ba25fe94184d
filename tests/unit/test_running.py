"""What a run reports: the record with board, outputs and lost records, and why it is degraded."""
import json
import time
from types import SimpleNamespace

import pytest
from fakes.pipeline import FakeSender
from patience import PATIENCE_S, wait_until

from edge.core.packet import Frame, Packet, Span
from edge.telemetry.meter import Meter
from edge.telemetry.status import table
from edge.telemetry.status.log import StatusLog
from edge.telemetry.status.read import read_last
from edge.telemetry.status.run import Run

ROWS = {"vmc://a": "2 receivers", "osc://b": "down: the relay has ended (signal 9)"}


def a_run(**source):
    sender = FakeSender("jsonl:x")
    source = SimpleNamespace(**dict({"name": "camera", "live": True, "lost": 0, "warning": "", "doubt": ""}, **source))
    return Run(source, None, [sender], Meter([], time.monotonic()), [], lambda event, text: None)


def test_a_healthy_run_has_no_reason_and_no_board_where_there_is_none():
    run = a_run()
    assert run.reasons() == [] and not run.throttled()
    record = run.final()
    assert "board" not in record and "log" not in record and record["outputs"]["jsonl:x"]["state"] == "ok"


def test_the_board_is_in_the_record_and_its_throttling_is_a_reason():
    run = a_run(doubt="the picture does not change")
    run.board = lambda: {"model": "Jetson Nano", "throttled": True, "throttled_by": ["under-voltage"]}
    assert run.throttled() and run.reasons() == ["the picture does not change", "throttled"]
    assert run.final()["board"]["throttled_by"] == ["under-voltage"]


def test_a_log_that_cannot_be_written_is_a_reason_until_it_can_and_its_records_are_counted(tmp_path):
    path = tmp_path / "folder" / "status.jsonl"
    path.parent.write_text("in the way")
    run = a_run()
    run.start_log(StatusLog(str(path)), 3600.0)
    run.on_state("RUNNING", "")
    wait_until(run.reasons)
    assert run.reasons() == ["status log not written"] and run.final()["log"] == {"written": 0, "failed": 1}
    path.parent.unlink()
    run.on_state("DEGRADED", "status log not written")
    wait_until(lambda: not run.reasons())
    run.close(PATIENCE_S)
    record = read_last(str(path))
    assert record["state"] == "DEGRADED" and record["log"]["failed"] == 1


def test_the_newest_record_is_that_of_the_log_or_made_where_there_is_none(tmp_path):
    run = a_run()
    run.on_state("RUNNING", "")
    first = run.newest()
    assert first["state"] == "RUNNING" and run.newest() is not first
    run.start_log(StatusLog(str(tmp_path / "status.jsonl")), 3600.0)
    run.on_state("DEGRADED", "throttled")
    assert run.newest()["reason"] == "throttled" and run.newest() is run.newest()
    run.close(PATIENCE_S)


def whole_run(tmp_path, meter):
    """RUNNING, an interval of five frames, one of three, and what both took."""
    source = SimpleNamespace(name="clip.mp4", live=True, lost=0, warning="", doubt="")
    run = Run(source, None, [], meter, [], lambda event, text: None)
    run.start_log(StatusLog(str(tmp_path / "status.jsonl")), 3600.0)
    run.on_state("RUNNING", "")
    began = time.monotonic()
    for n in range(8):
        if n == 5:
            run.changed()
        arrives(meter, n, began + 0.01 * n)
    return run


def arrives(meter, n, at):
    meter.finished(Packet(Frame(n, at, 0.0, None), (), (Span("capture", at, at, at + 0.002),)), at + 0.005)


@pytest.mark.parametrize("state, reason", [("STOPPED", "end of source"), ("FAILED", "output jsonl:x: no space")])
def test_last_record_is_that_of_the_whole_run_and_of_the_final_table(tmp_path, state, reason):
    run = whole_run(tmp_path, Meter([], time.monotonic()))
    run.on_state("STOPPING", reason)
    run.on_state(state, reason)
    run.changed()
    run.close(PATIENCE_S)
    records = [json.loads(line) for line in (tmp_path / "status.jsonl").read_text().splitlines()]
    counts = [(record["state"], record["stages"]["capture"]["count"]) for record in records]
    assert counts == [("RUNNING", 0), ("RUNNING", 5), ("STOPPING", 3), (state, 8)]
    last = records[-1]
    assert last["latency_ms"]["max"] == 5.0 and last["fps"]["output"] > 0.0 and last["reason"] == reason
    assert run.final() == last and run.newest() == last
    assert "{}: {}, over the whole run, 0.0 s".format(state, reason) in table.render(last)


def test_frames_that_arrive_while_the_run_stops_are_in_an_interval_too(tmp_path):
    meter = Meter([], time.monotonic())
    run = whole_run(tmp_path, meter)
    run.on_state("STOPPING", "end of source")
    arrives(meter, 8, time.monotonic())
    run.on_state("STOPPED", "end of source")
    run.close(PATIENCE_S)
    records = [json.loads(line) for line in (tmp_path / "status.jsonl").read_text().splitlines()]
    counts = [(record["state"], record["stages"]["capture"]["count"]) for record in records]
    assert counts == [("RUNNING", 0), ("RUNNING", 5), ("STOPPING", 3), ("STOPPING", 1), ("STOPPED", 9)]


@pytest.mark.parametrize("live, expected", [(True, 5 / 4.0), (False, 5 / 0.042)])
def test_rate_of_a_run_counts_the_time_in_which_a_camera_gave_nothing(live, expected):
    meter = Meter([], 100.0)
    for n in range(5):
        arrives(meter, n, 100.0 + 0.01 * n)
    assert meter.summary(104.0, live)["fps"]["output"] == pytest.approx(expected, rel=1e-3)


def test_a_sender_of_several_outputs_has_a_row_for_each():
    run = a_run()
    relay = FakeSender("relay")
    relay.rows = lambda: {name: {"sent": 2, "failed": 0, "dropped": 0, "state": state} for name, state in ROWS.items()}
    run._senders.append(relay)
    assert {name: row["state"] for name, row in run.final()["outputs"].items()} == dict(ROWS, **{"jsonl:x": "ok"})
