"""`nanoface bench detectors` and `bench stages`: plain decoding finds the same boxes, a face counts once, tables are whole."""
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.bench import detectors, plain, stages
from edge.cli.commands.bench import BENCH, scales_of
from edge.core.errors import ConfigError
from edge.geometry import boxes as upright
from edge.models.detectors.table import MULTIPLES, scaled_detector


def made_up(network, detector, seed, share):
    """Outputs of noise in which `share` of the cells see something."""
    random, (width, height) = np.random.RandomState(seed), detector.size

    def cells(stride):
        return -(-height // stride), -(-width // stride)

    def sure(shape):
        return np.where(random.uniform(size=shape) < share, random.uniform(0.5, 1.0, shape), 0.1).astype(np.float32)

    def moves(shape):
        return random.normal(0.0, 0.5, shape).astype(np.float32)

    if network.startswith("fmr"):
        return {kind + "_%d" % s: make((1, n) + cells(s)) for s in detectors.levels_of(network)
                for kind, n, make in (("cls", 4, sure), ("bbox", 8, moves))}
    if network.startswith("yunet"):
        return {kind + "_%d" % s: make((1, cells(s)[0] * cells(s)[1], n)) for s in (8, 16, 32)
                for kind, n, make in (("cls", 1, sure), ("obj", 1, sure), ("bbox", 4, moves), ("kps", 10, moves))}
    count = len(detector._now._centres)
    return {"scores": sure((1, count, 2)), "boxes": moves((1, count, 4))}


@pytest.mark.parametrize("network", sorted(MULTIPLES))
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10 ** 6), size=st.sampled_from([(64, 64), (100, 33), (160, 128)]))
def test_plain_loops_find_the_boxes_that_arrays_find(network, seed, size):
    detector = scaled_detector(network, 1.0)
    crop = detector.crop(*size)
    outputs = made_up(network, detector, seed, 0.05)
    ours = detector.decode(outputs, crop, 0.6, 300)
    theirs = plain.faces(detector, outputs, 0.6, 300)
    assert len(theirs) == len(ours.boxes) <= 300
    order = np.lexsort((ours.boxes[:, 0], -ours.scores))
    same = sorted(theirs, key=lambda one: (-np.float32(one[0]), one[1][0]))
    scores = np.array([score for score, _ in same], np.float32)
    boxes = np.array([box for _, box in same], np.float32).reshape(-1, 4)
    assert np.allclose(scores, ours.scores[order], atol=1e-6)
    # frame pixels have their centres at integers
    scale = np.tile(np.diag(crop.matrix), 2)
    assert np.allclose((boxes - np.tile(crop.matrix[:, 2] + 0.5, 2)) / scale, ours.boxes[order], atol=2e-2)


def test_plain_suppression_is_the_one_of_arrays():
    random = np.random.RandomState(3)
    corners = random.uniform(0, 50, (60, 2))
    boxes = np.concatenate([corners, corners + random.uniform(5, 40, (60, 2))], axis=1).astype(np.float32)
    kept = upright.nms(boxes, 0.4, 60)
    found = plain.suppressed([(1.0 - i / 100.0, tuple(box)) for i, box in enumerate(boxes.tolist())], 0.4)
    assert [round(100 * (1.0 - score)) for score, _ in found] == kept and 1 < len(kept) < 60


BOX = [0.0, 0.0, 10.0, 10.0]
FAR = [100.0, 0.0, 110.0, 10.0]


@pytest.mark.parametrize("found, wanted, hits, others", [
    ([], [], 0, 0), ([BOX], [], 0, 1), ([], [BOX], 0, 0), ([BOX], [BOX], 1, 0), ([BOX, BOX], [BOX], 1, 1),
    ([BOX], [BOX, BOX], 1, 0), ([FAR, BOX], [BOX, FAR], 2, 0),
    ([[0, 0, 10, 3.4]], [BOX], 0, 1), ([[0, 0, 10, 3.6]], [BOX], 1, 0),
])
def test_a_face_is_found_once_and_what_is_none_is_told(found, wanted, hits, others):
    arrays = [np.array(boxes, np.float32).reshape(-1, 4) for boxes in (found, wanted)]
    assert detectors.matched(*arrays) == (hits, others)


@pytest.mark.parametrize("text, scales", [(None, []), ("0.1,0.4,1,2", [0.1, 0.4, 1.0, 2.0]), (" 4 , 0.01", [4.0, 0.01])])
def test_scales_are_numbers_with_commas_between(text, scales):
    assert scales_of(text) == scales


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "1e9", "a", "1,", "1,1", "1;2", "null", "0.1 0.4", "true",
                                  ",".join(str(n / 10.0) for n in range(1, 18))])
def test_scales_that_make_no_sense_are_refused(text):
    with pytest.raises(ConfigError) as e:
        scales_of(text)
    assert "--scales" in str(e.value) and "0.1,0.4,1,2" in str(e.value) and "\n" not in str(e.value)


def read(*words):
    args = BENCH.make_parser().read(words)
    BENCH.check(args)
    return args


@pytest.mark.parametrize("words, what, source, frames, rounds", [
    (("clip.mp4",), "", "clip.mp4", 100, 5), ((), "", None, 100, 5), (("detectors",), "detectors", None, 30, 5),
    (("detectors", "a.mp4", "--frames", "7"), "detectors", "a.mp4", 7, 5), (("stages", "a.mp4"), "stages", "a.mp4", 100, 3),
    (("./detectors",), "", "./detectors", 100, 5), (("stages", "--source", "stages"), "stages", "stages", 100, 3),
])
def test_a_word_says_what_is_measured(words, what, source, frames, rounds):
    args = read(*words)
    named = [setting.value for setting in args.settings or () if setting.key == "source.spec"]
    assert (args.what, named, args.frames, args.rounds) == (what, [] if source is None else [source], frames, rounds)


@pytest.mark.parametrize("words, part", [
    (("a.mp4", "detectors"), "directly behind"), (("detectors", "stages"), "./stages"), (("--scales", "1"), "bench detectors"),
    (("stages", "--scales", "1"), "bench detectors"), (("detectors", "--detector-scale", "1"), "--scales"),
])
def test_words_that_do_not_go_together_are_refused(words, part):
    with pytest.raises(ConfigError) as e:
        read(*words)
    assert part in str(e.value)


def test_the_table_of_detectors_has_a_row_for_each_size():
    row = {"network": "fmr_8and16", "scale": 0.1, "input": [64, 64], "levels": [8, 16], "resize_ms": 0.1, "network_ms": 0.5,
           "decode_ms": 0.1, "whole_ms": 0.7, "plain_ms": 0.3, "plain_over_decode": 3.0, "found": 0, "others": 2}
    result = {"reference_faces": 30, "frames_with_a_face": 29, "reference": "yunet_s",
              "rows": [row, dict(row, scale=2.0, found=30, plain_over_decode=None)]}
    text = detectors.lines(result)
    assert "30 faces in 29 frames, by yunet_s" in text[0]
    assert text[3].split() == ["fmr_8and16", "0.1", "64x64", "8", "16", "0.10", "0.50", "0.10", "0.70", "0.30", "3.0x", "0",
                               "of", "30", "2"]
    assert text[4].split()[-5:] == ["-", "30", "of", "30", "2"]


def test_the_table_of_stages_keeps_measured_cited_and_estimated_apart():
    def figure(mean):
        return {"mean": mean, "deviation": 0.5}

    of_stages = dict(zip(stages.NAMES, map(figure, (3.0, 2.0, 1.0, 4.0, 0.2))))
    every = {"stages_ms": of_stages, "sum_ms": figure(10.2), "fps": figure(98.0), "fps_four_threads": figure(120.0)}
    run = dict(every, stages_ms={k: v for k, v in of_stages.items() if k != "iris"})
    guessed = dict.fromkeys(stages.NAMES, [1.0, 2.0, 4.0])
    result = {"every_frame": every, "as_run": run, "networks": {"detect": "yunet_s"}, "estimated_ms": guessed}
    text = "\n".join(stages.lines(result))
    for part in ("Face Detection", "12.3", "104.2", "9.59 ± 1", "cited from DLVYF's README", "estimate", "98.00 ± 0.50",
                 "10.0 (5.0 to 20.0)", "100.0 (50.0 to 200.0)", "120.00 ± 0.50"):
        assert part in text
    assert "-" in text.split("Iris Localization")[1].split("\n")[0]
    assert "estimated" in text and json.dumps(result)
    assert "estimate" in "\n".join(stages.lines(dict(result, estimated_ms={})))


def test_both_tables_are_measured_on_the_demo(models_home, monkeypatch):
    pytest.importorskip("onnxruntime")
    from edge.bench.command import run_detectors, run_stages
    from edge.config.load import load_config
    monkeypatch.setenv("NANOFACE_HOME", models_home)
    config = load_config(None, {"source.spec": "portrait", "models.runtime": "onnxruntime"}, {})
    out = io.StringIO()
    run_detectors(config, ("yunet_s",), (0.1, 0.5), 2, 1, True, out)
    found = json.loads(out.getvalue())
    assert [row["input"] for row in found["rows"]] == [[64, 64], [320, 256]] and found["rows"][1]["found"] == 2
    assert all(row[part] > 0 for row in found["rows"] for part in ("network_ms", "decode_ms", "plain_ms", "resize_ms"))
    out = io.StringIO()
    run_stages(config, lambda networks: {}, 3, 1, True, out)
    every = json.loads(out.getvalue())["every_frame"]
    assert set(every["stages_ms"]) == set(stages.NAMES) and every["fps"]["mean"] > 0
    assert every["sum_ms"]["mean"] == pytest.approx(sum(v["mean"] for v in every["stages_ms"].values()))


@pytest.mark.parametrize("names, part", [
    (("blazeface_short",), "one size"), (("yunet_s", "blazeface_full"), "blazeface_full"),
])
def test_detectors_of_one_size_are_refused(names, part, monkeypatch, models_home):
    from edge.config.load import load_config
    monkeypatch.setenv("NANOFACE_HOME", models_home)
    with pytest.raises(ConfigError) as e:
        detectors.measure_detectors(load_config(None, {}, {}), names, (1.0,), [np.zeros((48, 64, 3), np.uint8)], 1)
    assert part in str(e.value)
