"""Which layers stay in FP32: the home's list before the shipped one, and a node's further layers."""
import json

import pytest

from edge.core.errors import EngineError
from edge.store.models import StoredNetwork
from engines.build.target import Pins, pinned, pins_of

STORED = StoredNetwork("mb05", "mb05.onnx", "mb05.onnx", {}, "pose", "5" * 64)


def write(path, **entry):
    content = dict({"onnx_sha256": "5" * 64, "fp32_layers": [], "whole": False}, **entry)
    path.write_text(json.dumps({"schema": 1, "networks": {"mb05": content}}))
    return str(path)


@pytest.mark.parametrize("own, shipped, expected", [
    (None, None, Pins()),
    (None, {"fp32_layers": ["b", "a", "b"]}, Pins(("a", "b"))),
    ({"fp32_layers": ["c"]}, {"fp32_layers": ["a"]}, Pins(("c",))),
    ({"fp32_layers": []}, {"fp32_layers": ["a"]}, Pins()),
    ({"fp32_layers": ["c"], "onnx_sha256": "0" * 64}, {"fp32_layers": ["a"]}, Pins(("a",))),
    ({"whole": True}, None, Pins((), True)),
])
def test_the_home_goes_before_what_is_shipped(tmp_path, own, shipped, expected):
    if own is not None:
        write(tmp_path / "fp16.json", **own)
    other = write(tmp_path / "shipped.json", **shipped) if shipped is not None else str(tmp_path / "none.json")
    assert pins_of(str(tmp_path), STORED, other) == expected


def test_a_list_of_another_version_is_left_aside_and_reported(tmp_path):
    shipped = write(tmp_path / "shipped.json", fp32_layers=["a"], onnx_sha256="0" * 64)
    pins = pins_of(str(tmp_path), STORED, shipped)
    assert pins.layers == () and "mb05: the list of layers" in pins.note and "`nanoface calibrate fp16 --write`" in pins.note


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 2, "networks": {}}', '{"schema": 1, "networks": []}',
                                  '{"schema": 1, "networks": {"mb05": 3}}',
                                  '{"schema": 1, "networks": {"mb05": {"fp32_layers": [3]}}}'])
def test_a_damaged_list_is_named(tmp_path, text):
    (tmp_path / "fp16.json").write_text(text)
    with pytest.raises(EngineError, match="fp16.json .*(delete it|damaged)"):
        pins_of(str(tmp_path), STORED, "none.json")


@pytest.mark.parametrize("layer, pin", [
    ("conv2d", "conv2d"), ("conv2d_7", "conv2d"), ("conv2d_1", ""), ("conv2d_1_9", ""), ("other", ""), ("conv2d_x", ""),
])
def test_a_second_layer_of_a_node_is_distinguished_from_another_node(layer, pin):
    assert pinned(layer, ("conv2d",), frozenset(["conv2d", "conv2d_1", "other"])) == pin
