"""`nanoface run` with networks of one's own: a detector whose answer is known finds the face that ours find, and what ran is
named everywhere without a path.
"""
import io
import json
import os

import numpy as np
import pytest
from fakes.own_networks import constant_onnx, constant_xml, write
from whole_runs import need_networks, need_runtime, one_line, quick, whole_program

from edge.cli.table import load, read_words
from edge.core.errors import ConfigError
from edge.recording.reading import Reader
from edge.store.own import check_file

pytest.importorskip("onnx", reason="the networks are made with the package onnx")
SHORT = ("--pose", "none", "--iris", "none", "--no-window", "--max-frames", "2")


@pytest.fixture(scope="module")
def nanoface(models_home, tmp_path_factory):
    need_runtime("openvino", "onnxruntime")
    need_networks(models_home, "yunet_s", "face_landmark")
    return whole_program(models_home, tmp_path_factory)


@pytest.fixture(scope="module")
def picture(nanoface):
    """The record of the first picture, as our networks see it."""
    done = nanoface.run("portrait", "--aligner", "face_landmark", "--landmarks", "--output", "jsonl:a.jsonl", *SHORT + quick())
    return done.records("a.jsonl")[0]


def table_of(record):
    """(1, 1, 200, 7) of its one face, as Intel's detectors say it."""
    (x0, y0, x1, y1), (width, height) = record["faces"][0]["box"], record["size"]
    table = np.full((1, 1, 200, 7), -1.0, np.float32)
    table[0, 0, 0] = 0, 0, 0.93, (x0 + 0.5) / width, (y0 + 0.5) / height, (x1 + 0.5) / width, (y1 + 0.5) / height
    return table


@pytest.mark.parametrize("kind", ["onnx", "xml"])
def test_the_face_is_where_the_constant_box_is_and_the_real_aligner_finds_it(nanoface, picture, tmp_path, kind):
    if kind == "xml":
        need_runtime("openvino")
    make = constant_onnx if kind == "onnx" else constant_xml
    network = make(tmp_path / ("face-detection-0202." + kind), {"detection_out": table_of(picture)}, (1, 3, 384, 384))
    words = () if kind == "xml" else quick()
    done = nanoface.run("portrait", "--detector", network, "--detector-like", "ssd300x7", "--aligner", "face_landmark",
                        "--landmarks", "--output", "jsonl:a.jsonl", "--output", "record:a.nfr", "--status", "s.jsonl",
                        *(SHORT + words))
    record = done.records("a.jsonl")[0]
    assert len(record["faces"]) == 1
    ours, theirs = (np.array(one["faces"][0]["landmarks"]) for one in (picture, record))
    assert np.abs(ours - theirs)[:, :2].max() < 3.0, "the regions differ by the angle of the eyes alone"
    row = json.loads(done.lines("s.jsonl")[-1])["stages"]["detect"]
    assert row["model"] == "face-detection-0202." + kind and row["model"] in done.out
    with open(done.path("a.nfr"), "rb") as f:
        facts = Reader(f, "a.nfr").facts
    assert facts["own_networks"] == {"detect": "ssd300x7 " + check_file(network)} and str(tmp_path) not in json.dumps(facts)
    assert facts["networks"]["detect"][0].startswith(row["model"] + " ")
    told = [note for note in done.notes() if "TensorRT 8.2 on a Nano" in note]
    assert (kind == "onnx") == bool(told) and all("nanoface models lint " + network in note for note in told)


def test_a_box_somewhere_else_finds_nothing(nanoface, picture, tmp_path):
    table = np.full((1, 1, 10, 7), -1.0, np.float32)
    table[0, 0, 0] = 0, 0, 0.93, 0.0, 0.0, 0.08, 0.1
    network = constant_onnx(tmp_path / "wrong.onnx", {"d": table}, (1, 3, 300, 300))
    done = nanoface.run("portrait", "--detector", network, "--detector-like", "ssd300x7", "--aligner", "face_landmark",
                        "--output", "jsonl:a.jsonl", *(SHORT + quick()))
    assert [record["faces"] for record in done.records("a.jsonl")] == [[], []]


def test_an_aligner_of_ones_own_gives_the_points_of_the_same_network_of_ours(nanoface, picture, models_home):
    path = os.path.join(str(models_home), "onnx", "face_landmark.onnx")
    done = nanoface.run("portrait", "--align", path, "--align-like", "face_landmark", "--landmarks",
                        "--output", "jsonl:a.jsonl", *(SHORT + quick()))
    points = np.array(done.records("a.jsonl")[0]["faces"][0]["landmarks"])
    assert np.abs(points - np.array(picture["faces"][0]["landmarks"])).max() < 0.02  # a digit of the record
    assert "face_landmark.onnx" in done.out and str(models_home) not in done.out


@pytest.mark.parametrize("words, code, text", [
    (("--align", "my.onnx"), 2, "my.onnx: say with --align-like NAME which network it is like"),
    (("--align", "bad.onnx", "--align-like", "face_landmark"), 4, "bad.onnx is no ONNX file"),
])
def test_what_cannot_run_is_one_line_and_a_code_of_its_own(nanoface, tmp_path, words, code, text):
    bad = write(tmp_path / "bad.onnx", b"garbage, and not a network")
    done = nanoface.call("portrait", *(tuple(bad if word == "bad.onnx" else word for word in words) + SHORT))
    assert done.code == code and text in one_line(done.err), done.err


@pytest.mark.parametrize("words", [
    ["--networks", "my.onnx"],
    ["--only", "align", "--set", "models.align=my.onnx", "--set", "models.align_like=face_landmark"]])
def test_no_engine_is_built_of_one(words):
    with pytest.raises(ConfigError, match="my.onnx: engines are built of nanoface's own networks only"):
        load("build").run(read_words(["build"] + words), io.StringIO())
