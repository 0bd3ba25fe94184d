"""`nanoface calibrate fp16`: the emulated arithmetic against float16 itself, what is kept in FP32, and what is written."""
import io
import json
import os
import shutil
import sys

import numpy as np
import pytest

from edge.core.errors import ConfigError, EngineError, ModelError, OutputError, SourceError
from engines.verify.agreement import Difference

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from onnx import helper  # noqa: E402

from calibration.fp16 import (
    fp16,  # noqa: E402
    frames,  # noqa: E402
    halfmath,  # noqa: E402
    keep,  # noqa: E402
    ranges,  # noqa: E402
)
from calibration.fp16.emulate import Emulation, session_of  # noqa: E402
from calibration.fp16.halfmath import FP16_SUMS, FP32, FP32_SUMS  # noqa: E402
from edge.store.models import StoredNetwork, locate  # noqa: E402
from engines.convert.graph import Graph, Kernel  # noqa: E402
from engines.lint.command import run_lint  # noqa: E402
from engines.lint.lint import read_onnx  # noqa: E402
from engines.manifest.read import read_manifest  # noqa: E402

RANDOM = np.random.RandomState
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def halves(random, *shape):
    return random.normal(size=shape).astype(np.float16).astype(np.float32)


def direct_sum(weight, column):
    """Term after term with numpy's own float16, the product not rounded, as in one fused step."""
    total = np.float16(0)
    with np.errstate(over="ignore", invalid="ignore"):
        for w, x in zip(weight, column):
            total = np.float16(np.float64(total) + np.float64(w) * np.float64(x))
    return total


@pytest.mark.parametrize("scale", [1.0, 100.0, 1e-2])
def test_a_sum_in_float16_is_that_of_numpys_float16(scale):
    random = RANDOM(3)
    weight, columns = halves(random, 2, 3, 40), halves(random, 40, 2, 5) * np.float32(scale)
    columns = halfmath.rounded(columns)
    found = halfmath.dot(weight, columns)
    expected = [[[direct_sum(weight[g, o], columns[:, g, p]) for p in range(5)] for o in range(3)] for g in range(2)]
    assert np.array_equal(found, np.array(expected, np.float32))



def test_a_sum_that_leaves_float16_on_its_way_stays_infinite():
    weight = np.array([[[1, 1, -1, -1]]], np.float32)
    columns = np.full((4, 1, 1), 60000, np.float32)
    assert np.isnan(halfmath.dot(weight, columns)).all() or np.isinf(halfmath.dot(weight, columns)).all()
    assert halfmath.dot(weight, columns / 8) == 0


def test_a_sum_of_many_small_terms_stands_still_where_float16_does():
    """1 + 2**-12 is 1 in float16, however often it is added."""
    weight, columns = np.ones((1, 1, 1001), np.float32), np.full((1001, 1, 1), 2.0 ** -12, np.float32)
    columns[0] = 1
    assert halfmath.dot(weight, columns) == 1


def test_rounding_takes_the_even_neighbour_and_overflows():
    values = np.array([1 + 2.0 ** -11, 1 + 3 * 2.0 ** -11, 65519, 65520, 2.0 ** -25, 6e-8], np.float32)
    assert halfmath.rounded(values).tolist() == [1.0, 1 + 2.0 ** -9, 65504.0, np.inf, 0.0, 2.0 ** -24]


@pytest.mark.parametrize("kernel, groups, channels", [
    (Kernel((1, 1), (1, 1, 1, 1)), 1, 4), (Kernel((2, 2), (0, 0, 1, 1)), 1, 4),
    (Kernel((1, 1), (1, 1, 1, 1), (1, 1), 4), 4, 4), (Kernel((1, 2), (2, 2, 2, 2), (2, 2)), 1, 3),
    (Kernel((1, 1), (0, 1, 0, 1), (1, 1), 2), 2, 6),
])
def test_a_convolution_sees_what_onnx_runtime_sees(kernel, groups, channels):
    random = RANDOM(5)
    weight, bias = halves(random, 8, channels // groups, 3, 3), halves(random, 8)
    graph = Graph("conv")
    graph.conv("out", graph.input([2, channels, 9, 7]), weight, bias, kernel)
    emulation = Emulation(graph.model(["out"]))
    feed = {"input": halves(random, 2, channels, 9, 7)}
    exact, summed, halved = (emulation.run(feed, how)["out"] for how in (FP32, FP32_SUMS, FP16_SUMS))
    assert np.array_equal(summed, halfmath.rounded(exact))
    assert 0 < np.abs(halved - exact).max() < 0.1


def dense(transposed):
    random = RANDOM(6)
    graph = Graph("gemm")
    flat = graph.add("Flatten", "flat", [graph.add("GlobalAveragePool", "pool", [graph.input([1, 30, 4, 4])])])
    shape = (7, 30) if transposed else (30, 7)
    inputs = [flat, graph.constant("w", halves(random, *shape)), graph.constant("b", halves(random, 7))]
    graph.add("Gemm", "out", inputs, transB=int(transposed))
    return graph.model(["out"]), {"input": halves(random, 1, 30, 4, 4)}


@pytest.mark.parametrize("transposed", [False, True])
def test_a_matrix_and_a_mean_are_summed_in_float16(transposed):
    model, feed = dense(transposed)
    emulation = Emulation(model)
    exact, halved = emulation.run(feed, FP32), emulation.run(feed, FP16_SUMS)
    for name in ("pool", "out"):
        assert 0 < np.abs(halved[name] - exact[name]).max() < 0.02
    pixels = feed["input"][0, 3].ravel()
    mean = np.float32(direct_sum(pixels, np.ones(16))) / np.float32(16)
    assert halved["pool"][0, 3, 0, 0] == np.float32(np.float16(mean))


def test_node_by_node_is_what_the_whole_network_gives(models_home):
    """In FP32 every tensor is the same as in one run of ONNX Runtime."""
    path = os.path.join(models_home, "onnx", "yunet_s.onnx")
    model = read_onnx(path)
    feed = {"input": RANDOM(1).uniform(0, 255, (1, 3, 256, 320)).astype(np.float32)}
    found = Emulation(model).run(feed, FP32)
    names = [name for node in model.graph.node for name in node.output]
    del model.graph.output[:]
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    for name, expected in zip(names, session_of(model).run(names, feed)):
        assert np.allclose(found[name], expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_ranges_are_those_of_all_frames():
    a = ranges.of_tensors({"x": np.array([1, 2, 0], np.float32), "i": np.array([1])})
    b = ranges.of_tensors({"x": np.array([-70000, 1e-6, 0], np.float32)})
    both = ranges.merged(ranges.merged({}, a), b)
    assert list(both) == ["x"] and both["x"].largest == 70000 and both["x"].overflows and not a["x"].overflows
    assert both["x"].tiny == pytest.approx(1 / 6.0) and ranges.tiny_share(both) == both["x"].tiny
    assert ranges.of_tensors({"x": np.array([np.nan], np.float32)})["x"].overflows


def chain(middle=1.0, after=1.0, terms=64):
    """A convolution, an activation and a sum of many terms that nearly cancel, between harmless ones."""
    graph = Graph("chain")
    first = graph.conv("first", graph.input([1, 2, 4, 4]), np.full((terms, 2, 1, 1), middle, np.float32), None, Kernel())
    active = graph.add("Relu", "active", [first])
    sign = np.where(np.arange(terms) < terms // 2, 1, -1).astype(np.float32) * (1 + np.arange(terms) / 999.0) * after
    last = graph.conv("bad", active, sign.reshape(1, -1, 1, 1).astype(np.float32), None, Kernel())
    graph.conv("out", last, np.ones((1, 1, 1, 1), np.float32), None, Kernel())
    return graph.model(["out"])


STORED = StoredNetwork("chain", "", "", {}, "detect", "0" * 64)


def judged(monkeypatch, model, tolerance, low=0.5, high=1.0):
    def differences(stored, expected, found):
        apart = np.abs(expected["out"] - found["out"])
        worst = float(apart.max()) if np.isfinite(apart).all() else np.inf
        return [Difference("out", "px", worst, worst, tolerance)]
    monkeypatch.setattr(keep, "differences", differences)
    feeds = [{"input": RANDOM(i).uniform(low, high, (1, 2, 4, 4)).astype(np.float32)} for i in range(3)]
    return keep.judge(STORED, Emulation(model), feeds)


def test_nothing_is_kept_where_the_error_is_allowed(monkeypatch):
    verdict = judged(monkeypatch, chain(), 100.0)
    assert verdict.fp32_layers == [] and not verdict.whole and verdict.kept == verdict.errors[FP16_SUMS]
    assert 0 < verdict.errors[FP32_SUMS][0].worst < verdict.errors[FP16_SUMS][0].worst


def test_the_worst_offender_is_kept_first(monkeypatch):
    free = judged(monkeypatch, chain(), 100.0).errors
    allowed = free[FP16_SUMS][0].worst / 1.5
    verdict = judged(monkeypatch, chain(), allowed)
    assert verdict.fp32_layers == ["bad"] and not verdict.whole
    assert verdict.kept[0].worst <= keep.MARGIN * allowed < verdict.errors[FP16_SUMS][0].worst


def test_what_overflows_is_kept_with_its_reader_and_its_activation(monkeypatch):
    verdict = judged(monkeypatch, chain(60000.0, 0.01), 1e9)
    assert verdict.overflowing == ["first", "active"]
    assert verdict.fp32_layers == [] and verdict.whole  # three of four layers: the whole network is better in FP32
    monkeypatch.setattr(keep, "MOST_PINNED", 1.0)
    verdict = judged(monkeypatch, chain(60000.0, 0.01), 1e9)
    assert verdict.fp32_layers == ["first", "active", "bad"] and np.isfinite(verdict.kept[0].worst)
    assert not np.isfinite(verdict.errors[FP32_SUMS][0].worst)


def test_a_network_that_cannot_be_saved_is_built_in_fp32(monkeypatch):
    verdict = judged(monkeypatch, chain(), 1e-9)
    assert verdict.whole and verdict.fp32_layers == [] and verdict.kept[0].worst == 0


def test_an_odd_picture_counts_for_the_ranges_alone(monkeypatch):
    monkeypatch.setattr(keep, "differences", lambda *_: [Difference("out", "px", 0.0, 0.0, 1.0)])
    feed = {"input": np.ones((1, 2, 4, 4), np.float32)}
    odd = {"input": np.full((1, 2, 4, 4), 40000, np.float32)}
    verdict = keep.judge(STORED, Emulation(chain()), [feed], [odd])
    assert verdict.ranges["first"].most == 80000 and "first" in verdict.overflowing
    assert keep.judge(STORED, Emulation(chain()), [feed]).overflowing == []


@pytest.fixture(scope="module")
def shots(models_home):
    return frames.look(models_home, frames.take("portrait", 3))


def test_frames_are_spread_over_the_source():
    assert [frame.seq for frame in frames.take("portrait", 3)] == [0, 100, 200]


def test_every_network_is_shown_what_the_pipeline_shows_it(models_home, shots):
    assert all(shot.face is not None for shot in shots)
    for network in read_manifest().networks.values():
        if not network.is_asset:
            feeds = frames.inputs(locate(models_home, network.name), network.input, shots)
            assert [feed.shape for feed in feeds] == [network.input.shape] * 3
            least, most = (value * network.input.scale + min(network.input.offset) for value in (0, 255))
            assert min(f.min() for f in feeds) >= least - 1e-3 and most / 3 < max(f.max() for f in feeds) <= most + 50
            assert np.allclose(frames.black(network.input).min(), min(network.input.offset))


def test_a_source_without_a_face_is_one_line(models_home, shots):
    mesh = read_manifest().network("face_landmark")
    with pytest.raises(SourceError, match="there is no face in these frames to show to face_landmark: take another"):
        frames.inputs(locate(models_home, "face_landmark"), mesh.input, [shots[0]._replace(face=None)])


@pytest.fixture
def home(tmp_path, models_home):
    """Three networks of their own, so that nothing of the checkout is written."""
    folder = tmp_path / "home"
    shutil.copytree(os.path.join(models_home, "onnx"), str(folder / "onnx"),
                    ignore=lambda _, names: [n for n in names if n.endswith(".npz")])
    return str(folder)


def test_the_command_writes_what_the_build_reads(home):
    with open(os.path.join(home, "fp16.json"), "w") as f:
        json.dump({"schema": 1, "networks": {"other": {"fp32_layers": ["a"]}}}, f)
    out = io.StringIO()
    assert fp16.run_fp16(home, "portrait", ["mb05"], 1, out, write=True) == 0
    assert "mb05: 1 frames" in out.getvalue() and "rotation" in out.getvalue() and "kept in FP32" in out.getvalue()
    with open(os.path.join(home, "fp16.json")) as f:
        networks = json.load(f)["networks"]
    assert networks["other"] == {"fp32_layers": ["a"]}
    found = networks["mb05"]
    assert found["onnx_sha256"] == locate(home, "mb05").sha256 and found["whole"] is False
    nodes = {node.name for node in read_onnx(locate(home, "mb05").file).graph.node}
    assert set(found["fp32_layers"]) <= nodes
    assert found["errors"]["fp32_sums"]["rotation"]["worst"] < found["errors"]["fp32_sums"]["rotation"]["tolerance"]
    with open(os.path.join(home, "onnx", "mb05.ranges.json")) as f:
        tensors = json.load(f)["tensors"]
    assert nodes <= set(tensors) and set(tensors["params"]) == {"min", "max", "largest", "share_below_6e-5"}
    from engines.build.target import pins_of
    assert list(pins_of(home, locate(home, "mb05")).layers) == sorted(found["fp32_layers"])


def test_without_write_nothing_but_out_is_written(home, tmp_path, monkeypatch):
    before = sorted(os.listdir(home) + os.listdir(os.path.join(home, "onnx")))
    monkeypatch.chdir(tmp_path)
    out = io.StringIO()
    assert fp16.run_fp16(home, "portrait", ["mb05"], 1, out) == 0
    assert "written to {}; with --write `nanoface build` reads it".format(os.path.join("out", "fp16.json")) in out.getvalue()
    assert sorted(os.listdir("out")) == ["fp16.json", "mb05.ranges.json"]
    assert sorted(os.listdir(home) + os.listdir(os.path.join(home, "onnx"))) == before
    shutil.rmtree("out")
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="out cannot be made here .*: go to a folder where you may write"):
        fp16.run_fp16(home, "portrait", ["mb05"], 1, out)


def test_the_command_gives_a_table_for_a_document(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = io.StringIO()
    assert fp16.run_fp16(home, "portrait", ["face_landmark"], 1, out, markdown=True) == 0
    lines = out.getvalue().splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| face_landmark | align | 1") and lines[3].startswith("|  |  |")


def test_what_cannot_be_calibrated_is_one_line_with_the_cure(home, tmp_path):
    def calibrate(source="portrait", names=(), place=home):
        return fp16.run_fp16(place, source, list(names), 1, io.StringIO())
    with pytest.raises(ConfigError, match="did you mean mb05"):
        calibrate(names=["mb06"])
    with pytest.raises(ModelError, match="canonical_face is no network"):
        calibrate(names=["canonical_face"])
    with pytest.raises(ModelError, match="no network is in .*: run `nanoface models fetch`"):
        calibrate(place=str(tmp_path / "empty"))
    with pytest.raises(SourceError):
        calibrate(source=str(tmp_path / "none.mp4"))


def test_without_the_package_onnx_the_cure_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(EngineError, match=r"needs the package onnx: .* -m pip install 'onnx>.*' 'onnxruntime>"):
        fp16.run_fp16(str(tmp_path), "portrait", [], 1, io.StringIO())
    with pytest.raises(ModelError, match=r"needs the package onnx: .* -m pip install 'onnx>="):
        run_lint(str(tmp_path), [], io.StringIO())


def test_the_shipped_list_is_of_the_networks_that_are_built(models_home):
    with open(os.path.join(ROOT, "engines", "build", "fp16.json"), encoding="utf-8") as f:
        networks = json.load(f)["networks"]
    names = [n.name for n in read_manifest().networks.values() if not n.is_asset]
    assert sorted(networks) == sorted(names)
    for name in names:
        stored = locate(models_home, name)
        assert networks[name]["onnx_sha256"] == stored.sha256, "run `nanoface calibrate fp16 {} --write`".format(name)
        assert set(networks[name]["fp32_layers"]) <= {node.name for node in read_onnx(stored.file).graph.node}
        assert not networks[name]["overflowing"] and not networks[name]["whole"]
        kept = networks[name]["errors"]["as_kept"].values()
        assert all(error["worst"] <= keep.MARGIN * error["tolerance"] for error in kept)
    with open(os.path.join(ROOT, "docs", "networks.md"), encoding="utf-8") as f:
        assert fp16.table(networks) in f.read(), "put the table of `nanoface calibrate fp16 --markdown` there"
