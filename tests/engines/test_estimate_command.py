"""`nanoface estimate`: what it prints, for whom, and what it says where it cannot."""
import io
import json
import re
import subprocess
import sys

import pytest

pytest.importorskip("yaml")

from edge.core.errors import ConfigError, EngineError, ModelError
from engines.estimate import pipeline
from engines.estimate.board import NANO, Span, board_of
from engines.estimate.command import engine_ms, run_estimate
from engines.estimate.fitted import fitted
from engines.estimate.make import estimate

DEFAULT = {"detect": "yunet_s", "align": "face_landmark", "pose": "mb05", "iris": "iris_landmark"}


def output(home, board="nano", markdown=False, as_json=False):
    out = io.StringIO()
    assert run_estimate(str(home), board, markdown, as_json, out) == 0
    return out.getvalue()


@pytest.fixture(scope="module")
def nano(tmp_path_factory):
    return estimate(str(tmp_path_factory.mktemp("empty")), "nano")


def test_without_any_network_fetched_all_tables_are_there(tmp_path):
    text = output(tmp_path)
    for title in ("ESTIMATE: Engines in FP16 on nano", "ESTIMATE: A frame", "ESTIMATE: Milliseconds",
                  "ESTIMATE: Memory", "How far the model is", "and the ESTIMATE"):
        assert title in text
    assert "Nothing here was measured on a Jetson Nano" in text
    for role, network in DEFAULT.items():
        assert re.search(r"^  {}: {} +\d".format(role, network), text, re.M)
    assert "12.3" in text and "18.1" in text and "49.2" in text and "22.6" in text and "9.59" in text
    assert "The bottleneck is the GPU" in text


def test_the_same_as_markdown_has_tables_and_nothing_else_changes(tmp_path):
    plain, markdown = output(tmp_path), output(tmp_path, markdown=True)
    assert markdown.count("|---|") == 8
    assert set(re.findall(r"\d+\.\d+", plain)) == set(re.findall(r"\d+\.\d+", markdown))
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)
    for table in re.findall(r"(?:^\|.*\n)+", markdown, re.M):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_the_same_as_json(tmp_path):
    found = json.loads(output(tmp_path, as_json=True))
    assert found["estimate"] is True and found["board"]["name"] == "nano"
    engines = {e["role"]: e for e in found["engines"] if e["role"]}
    assert {role: e["network"] for role, e in engines.items()} == DEFAULT
    assert tuple(engines["pose"]["ms"]) == engine_ms(str(tmp_path), "mb05", "nano")
    tracked = found["situations"]["tracking"]
    assert tracked["one_thread_ms"] == pytest.approx([a + b for a, b in zip(tracked["host_ms"], tracked["device_ms"])])


def test_both_ways_to_points_and_irises_are_there_and_what_nobody_has_measured(tmp_path):
    text, found = output(tmp_path), json.loads(output(tmp_path, as_json=True))
    assert "The same with face_attention in the place of face_landmark and iris_landmark" in text
    assert "Grouped convolutions on this GPU were measured by nobody" in text
    other = found["other_way"]
    assert other["networks"] == {"detect": "yunet_s", "align": "face_attention", "pose": "mb05"}
    stages = other["situations"]["tracking"]["stages"]
    assert set(stages["iris"]["device"] + stages["iris"]["host"] + stages["iris"]["calls"]) == {0.0}
    assert stages["align"]["device"][1] > found["situations"]["tracking"]["stages"]["align"]["device"][1]
    assert stages["express"]["host"] != found["situations"]["tracking"]["stages"]["express"]["host"]  # costs of its own


def test_what_was_tuned_is_the_way_that_would_run_and_the_other_one_is_still_there(tmp_path):
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "chosen.json").write_text(json.dumps({"roles": {"align": "face_attention"}}))
    found = json.loads(output(tmp_path, as_json=True))
    assert {e["role"]: e["network"] for e in found["engines"] if e["role"]} == {
        "detect": "yunet_s", "align": "face_attention", "pose": "mb05"}
    assert found["other_way"]["networks"] == DEFAULT
    assert "face_landmark and iris_landmark in the place of face_attention" in output(tmp_path)


def test_every_number_of_a_slower_board_is_slower(tmp_path):
    fast, slow = (json.loads(output(tmp_path, board, as_json=True)) for board in ("nano", "nano-5w"))
    for name, situation in fast["situations"].items():
        for key in ("host_ms", "device_ms", "one_thread_ms", "two_threads_ms"):
            assert all(a < b for a, b in zip(situation[key], slow["situations"][name][key]))
    assert [row[1:] for row in fast["memory_mb"]] == [row[1:] for row in slow["memory_mb"]]


def test_the_floor_of_ten_frames_a_second_holds_at_the_pessimistic_end(nano):
    for situation in nano.situations:
        assert pipeline.fps(situation.one_thread).low >= 10.0, situation.name
    assert pipeline.fps(nano.situations[0].one_thread).middle >= 30.0


def test_the_appliance_stays_below_two_gigabytes_in_the_middle(nano):
    assert sum(span.middle for _, span in nano.memory) < pipeline.GOAL_MB
    assert all(span.low <= span.middle <= span.high for _, span in nano.memory)


def test_a_tracked_frame_runs_the_pose_network_every_few_frames_and_no_detector(nano):
    tracked, found, nobody = nano.situations
    ms = {e.role: e.ms.middle for e in nano.engines}
    crop = pipeline.CROP_MS.middle
    assert tracked.stages["detect"].device.middle == 0.0
    assert tracked.stages["pose"].device.middle == pytest.approx((ms["pose"] + crop) / 5)
    assert tracked.stages["iris"].device.middle == pytest.approx(ms["iris"] + 2 * crop)  # both eyes in one run
    assert found.stages["align"].device.middle == pytest.approx(2 * (ms["align"] + crop))
    assert nobody.device.middle == pytest.approx(ms["detect"] + crop)
    assert found.one_thread.middle > tracked.one_thread.middle > nobody.one_thread.middle


def test_two_threads_are_limited_by_the_slower_one_the_gpu_and_the_lock(nano):
    for s in nano.situations:
        assert s.two_threads.middle <= s.one_thread.middle
        assert s.two_threads.middle >= max(s.device.middle, s.host.middle)
        assert s.two_threads.middle >= s.one_thread.middle / 2.0


def test_host_costs_are_scaled_by_the_stated_factor_and_the_clock():
    costs = pipeline.host_costs()["host_ms"]["tracking"]["express"]
    for board, slower in ((NANO, 1.0), (board_of("nano-5w"), 1428.0 / 918.0)):
        found = pipeline.situations({"align": Span(1, 2, 3)}, board, 5)[0].stages["express"].host
        assert found == pytest.approx((5.0 * costs * slower, 7.0 * costs * slower, 9.0 * costs * slower))


def test_a_role_that_is_switched_off_costs_no_device():
    situation = pipeline.situations({"detect": Span(1, 2, 3), "align": Span(1, 2, 3)}, NANO, 5)[0]
    assert situation.stages["iris"].device.middle == situation.stages["iris"].calls.middle == 0.0


def test_what_was_chosen_on_the_board_is_estimated(tmp_path):
    plans = tmp_path / "plans"
    plans.mkdir()
    (plans / "chosen.json").write_text(json.dumps({"roles": {"detect": "faceboxes"}}))
    assert "  detect: faceboxes" in output(tmp_path)
    (plans / "chosen.json").write_text("{")
    with pytest.raises(EngineError, match="run `nanoface build"):
        output(tmp_path)


@pytest.mark.parametrize("ask, error, words", [
    (lambda home: output(home, "xavier"), ConfigError, "there is no board xavier: take nano or nano-5w"),
    (lambda home: engine_ms(home, "mb05", "tx2"), ConfigError, "there is no board tx2"),
    (lambda home: engine_ms(home, "mb06", "nano"), ConfigError, "did you mean mb05"),
    (lambda home: engine_ms(home, "canonical_face", "nano"), ConfigError, "canonical_face is no network"),
])
def test_what_cannot_be_estimated_is_one_line(ask, error, words, tmp_path):
    with pytest.raises(error, match=words) as caught:
        ask(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_each_face_costs_the_same_again(tmp_path):
    found = json.loads(output(tmp_path, as_json=True))
    faces = {int(n): ms[1] for n, ms in found["several_faces"].items()}
    assert sorted(faces) == [1, 2, 4, 8, 16] and faces[1] == found["situations"]["tracking"]["one_thread_ms"][1]
    assert (faces[16] - faces[8]) / 8 == pytest.approx(faces[2] - faces[1]) and faces[2] < 2.0 * faces[1]
    text = output(tmp_path)
    assert "16 faces, face_landmark and iris_landmark" in text and "16 faces, face_attention" in text


def test_host_costs_that_cannot_be_read_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "HOST_COSTS", str(tmp_path / "none.yaml"))
    with pytest.raises(ModelError, match="python -m calibration.estimate.hostcosts"):
        output(tmp_path)


def test_neither_onnx_nor_a_runtime_is_loaded(tmp_path):
    """Neither works beside the board's numpy."""
    code = ("import io, sys; from engines.estimate.command import run_estimate\n"
            "run_estimate(sys.argv[1], 'nano', False, False, io.StringIO())\n"
            "print([m for m in ('onnx', 'onnxruntime', 'openvino', 'cv2', 'tensorrt') if m in sys.modules])")
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, check=True)
    assert run.stdout.decode().strip() == "[]"


def test_the_estimate_is_the_same_every_time(tmp_path):
    assert output(tmp_path) == output(tmp_path)
    assert fitted() == fitted()


def test_the_host_can_be_measured_again(models_home, monkeypatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("cv2")
    from calibration.estimate import hostcosts
    from edge.store.models import read_index
    if not set(DEFAULT.values()) <= set(read_index(models_home)):
        pytest.skip("needs the default networks: run `nanoface models fetch`")
    monkeypatch.setenv("NANOFACE_HOME", models_home)
    monkeypatch.setattr(hostcosts, "FRAMES", 24)
    monkeypatch.setattr(hostcosts, "ROUNDS", 1)
    found, committed = hostcosts.measured(), pipeline.host_costs()
    assert set(found) == set(committed)
    assert set(found["one_network"]["host_ms"]["tracking"]) == set(committed["one_network"]["host_ms"]["tracking"])
    for name, stages in committed["host_ms"].items():
        assert set(found["host_ms"][name]) == set(stages)
        assert all(ms >= 0.0 for ms in found["host_ms"][name].values())
    assert found["host_ms"]["tracking"]["express"] > found["host_ms"]["nobody"]["express"]
    assert hostcosts.text_of(found).startswith("# Written by `python -m calibration.estimate.hostcosts`")
