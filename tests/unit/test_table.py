"""The table shows all of the record, on any terminal."""
import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.telemetry.status.progress import Progress
from edge.telemetry.status.table import duration, render

MS = {"p50": 0.1, "p95": 12.34, "max": 1234.5}
RECORD = {
    "schema": 1, "at": "2026-11-21T03:20:11.402Z", "uptime_s": 125.0, "state": "DEGRADED", "reason": "source lost",
    "source": "/dev/video0", "fps": {"capture": 30.04, "output": 29.9}, "faces": 1,
    "latency_ms": {"p50": 31.0, "p95": 38.2, "max": 55.1},
    "stages": {
        "capture": {"count": 150, "dropped": 7, "wait_ms": MS, "work_ms": MS, "backend": ""},
        "detect": {"count": 143, "dropped": 0, "skipped": 141, "wait_ms": MS, "work_ms": MS, "backend": "openvino f32",
                   "model": "yunet_s"},
        "align": {"count": 143, "dropped": 0, "lost": 2, "backend": "onnxruntime", "model": "face_landmark"},
        "output": {"count": 143, "dropped": 0, "backend": ""}},
    "outputs": {"vmc:udp://192.0.2.7:39540": {"sent": 150, "dropped": 0, "failed": 3, "state": "down: no route"}},
    "board": {"model": "Jetson Nano 4GB", "gpu_load": 0.41, "temp_c": {"GPU": 46.5}, "power_mw": 4200,
              "memory_mb": {"used": 1480, "total": 3964}, "nvpmodel": "MAXN", "throttled": True},
}


def row(text, name):
    return next(line.split() for line in text.splitlines() if line.startswith(name + " "))


def test_the_head_says_how_it_goes():
    text = render(RECORD, 120)
    for words in ("DEGRADED: source lost", "up 2 min 5 s", "/dev/video0, 1 face", "30.0 fps captured",
                  "29.9 fps to the outputs", "31.0 ms median, 38.2 ms p95, 55.1 ms at most"):
        assert words in text


def test_every_stage_has_a_row_with_waits_works_counts_network_and_runtime():
    text = render(RECORD, 120)
    assert " ".join(row(text, "stage")[1:]) == "p50 p95 p50 p95 frames dropped skipped lost network runtime"
    assert " ".join(row(text, "capture")[1:]) == "0.10 12.3 0.10 12.3 150 7 - -"
    assert " ".join(row(text, "detect")[1:]) == "0.10 12.3 0.10 12.3 143 0 141 - yunet_s openvino f32"
    assert " ".join(row(text, "align")[1:]) == "- - - - 143 0 - 2 face_landmark onnxruntime"
    header = next(line for line in text.splitlines() if "wait ms" in line)
    assert header.index("wait ms") < header.index("work ms")


def test_times_of_the_device_and_notes_are_shown_where_there_are_any():
    record = copy.deepcopy(RECORD)
    record["stages"]["align"].update(device_ms={"p50": 2.5, "p95": 2.75, "max": 3.0}, note="no plan: onnxruntime instead")
    text = render(record, 130)
    assert " ".join(row(text, "stage")[1:]) == "p50 p95 p50 p95 p50 p95 frames dropped skipped lost network runtime"
    assert " ".join(row(text, "align")[5:7]) == "2.5 2.8"
    assert "device ms" in text and "align    no plan: onnxruntime instead" in text
    assert "device ms" not in render(RECORD, 130)


def test_outputs_and_the_board_are_reported():
    text = render(RECORD, 200)
    assert "vmc:udp://192.0.2.7:39540: down: no route (150 sent, 0 dropped, 3 failed)" in text
    assert ("board    Jetson Nano 4GB, MAXN, GPU 41 % busy, GPU 46.5 C, 4.2 W, 1480 of 3964 MB used, THROTTLED") in text


@given(st.integers(0, 200), st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=150))
def test_no_line_is_wider_than_the_terminal_and_nothing_is_left_out(width, name):
    record = copy.deepcopy(RECORD)
    record["source"] = name
    record["outputs"]["jsonl:" + name] = {"sent": 1, "state": "ok"}

    text = render(record, width)

    assert all(len(line) <= max(72, width) for line in text.splitlines())
    for words in ("yunet_s", "openvino f32", "face_landmark", "onnxruntime", "MAXN"):
        assert words in " ".join(text.split())


@given(st.sets(st.sampled_from(sorted(RECORD) + ["wait_ms", "work_ms", "count", "model", "gpu_load", "memory_mb"])))
def test_what_is_not_in_the_record_is_not_made_up(absent):
    def without(value):
        return {k: without(v) for k, v in value.items() if k not in absent} if isinstance(value, dict) else value

    text = render(without(RECORD))

    assert text.isprintable() or all(line.isprintable() for line in text.splitlines())
    assert text == text.encode("ascii", "replace").decode("ascii")
    assert ("captured" in text) is ("fps" not in absent)
    assert ("GPU 41 %" in text) is not ({"board", "gpu_load"} & absent != set())


def test_an_empty_stage_table_is_left_out():
    assert render({"state": "STARTING", "stages": {}}) == "state    STARTING\nsource   -"


@pytest.mark.parametrize("seconds, text", [
    (0, "0 s"), (59.9, "59 s"), (60, "1 min 0 s"), (125, "2 min 5 s"), (3600, "1 h 0 min"), (90061, "1 d 1 h")])
def test_a_duration_has_two_units_at_most(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize("total, done, elapsed_s, line", [
    (900, 412, 4.68, "412/900 frames  46 %  88 fps  6 s left"),
    (900, 900, 10.0, "900/900 frames  100 %  90 fps  0 s left"),
    (900, 0, 3.0, "0/900 frames  0 %"),
    (900, 9, 3.0, "9/900 frames  1 %  3.0 fps  4 min 57 s left"),
    (10, 12, 1.0, "12/10 frames  100 %  12 fps  0 s left"),
    (None, 412, 4.0, "412 frames  103 fps"),
    (0, 5, 1.0, "5 frames  5.0 fps")])
def test_the_progress_line_reports_how_far_how_fast_and_how_long(total, done, elapsed_s, line):
    assert Progress(total, 100.0).line(done, 100.0 + elapsed_s) == line


def test_the_speed_follows_a_change():
    progress, now, done = Progress(1000, 0.0), 0.0, 0
    for fps in (100, 20):
        for _ in range(100):
            now, done = now + 0.1, done + fps // 10
            line = progress.line(done, now)
        assert "  {} fps".format(fps) in line


def test_records_that_the_disk_did_not_take_are_reported_where_there_are_any():
    assert "log      7 records could not be written" in render({"state": "RUNNING", "log": {"written": 3, "failed": 7}})
    assert "could not be written" not in render({"state": "RUNNING"})


def test_what_an_output_counts_itself_is_shown_where_it_has_counted_any():
    rows = {"ws://:8765": {"sent": 5, "failed": 0, "dropped": 1, "refused": 7, "too_long": 0, "state": "2 receivers"}}
    assert "ws://:8765: 2 receivers (5 sent, 1 dropped, 0 failed, 7 refused)" in render({"outputs": rows})
