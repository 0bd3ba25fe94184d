"""Weights are read out of pickles without running anything that the file names."""
import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.errors import ModelError
from engines.convert import _readable
from engines.convert.unpickle import read_pkl, read_pth

VALUES = np.arange(24, dtype=np.float32)
MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2)


class Opcodes(object):
    """Writes the pickle of a state dict by hand, as torch does: protocol 2, storages by persistent id."""

    def __init__(self):
        self.data = b"\x80\x02"

    def raw(self, data):
        self.data += data
        return self

    def text(self, text):
        encoded = text.encode("utf-8")
        return self.raw(b"X" + struct.pack("<I", len(encoded)) + encoded)

    def number(self, n):
        return self.raw(b"J" + struct.pack("<i", n))

    def name(self, module, name):
        return self.raw("c{}\n{}\n".format(module, name).encode("utf-8"))

    def numbers(self, values):
        self.raw(b"(")
        for value in values:
            self.number(value)
        return self.raw(b"t")

    def storage(self, key, dtype="FloatStorage", size=24, legacy=True):
        self.raw(b"(").text("storage").name("torch", dtype).text(key).text("cpu").number(size)
        return self.raw(b"NtQ" if legacy else b"tQ")

    def tensor(self, offset, shape, strides, **storage):
        self.name("torch._utils", "_rebuild_tensor_v2").raw(b"(").storage("0", **storage).number(offset)
        return self.numbers(shape).numbers(strides).raw(b"\x89").name("collections", "OrderedDict").raw(b")RtR")

    def dictionary(self, **tensors):
        self.name("collections", "OrderedDict").raw(b")R(")
        for name, arguments in tensors.items():
            self.text(name.replace("__", ".")).tensor(**arguments)
        return self.raw(b"u")

    def stop(self):
        return self.data + b"."


def legacy(content, keys=("0",), values=VALUES):
    storages = b"".join(struct.pack("<q", len(values)) + values.tobytes() for _ in keys)
    return b"".join([MAGIC, pickle.dumps(1001, 2), pickle.dumps({"little_endian": True}, 2), content,
                     pickle.dumps(list(keys), 2), storages])


def zipped(content, values=VALUES, byteorder=None):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/data/0", values.tobytes())
        if byteorder:
            archive.writestr("archive/byteorder", byteorder)
    return buffer.getvalue()


def whole(**changes):
    arguments = {"offset": 0, "shape": (4, 6), "strides": (6, 1)}
    arguments.update(changes)
    return arguments


def read(tmp_path, data, reader=read_pth):
    """As convert() does, which turns what a reader raises into one line."""
    path = str(tmp_path / "weights.pth")
    with open(path, "wb") as f:
        f.write(data)
    with _readable([path]):
        return reader(path)


@pytest.mark.parametrize("tensor, expected", [
    (whole(), VALUES.reshape(4, 6)),
    (whole(shape=(6, 4), strides=(1, 6)), VALUES.reshape(4, 6).T),
    (whole(offset=20, shape=(4,), strides=(1,)), VALUES[20:]),
    (whole(offset=23, shape=(), strides=()), VALUES[23]),
    (whole(offset=3, shape=(2, 3), strides=(0, 2)), np.stack([VALUES[3:8:2]] * 2)),
])
@pytest.mark.parametrize("pack", [legacy, zipped])
def test_tensors_come_out_of_both_formats(tmp_path, pack, tensor, expected):
    content = Opcodes().dictionary(module__conv__weight=dict(tensor, legacy=pack is legacy)).stop()
    weights = read(tmp_path, pack(content))
    assert list(weights) == ["conv.weight"]
    assert np.array_equal(weights["conv.weight"], expected) and weights["conv.weight"].dtype == np.float32


def test_a_checkpoint_with_more_than_weights_is_read(tmp_path):
    checkpoint = Opcodes().raw(b"}(").text("epoch").number(3).text("state_dict").dictionary(w=whole())
    assert np.array_equal(read(tmp_path, legacy(checkpoint.raw(b"u").stop()))["w"], VALUES.reshape(4, 6))


@pytest.mark.parametrize("tensor", [
    whole(offset=1), whole(offset=-1), whole(strides=(6, -1)), whole(strides=(6,)), whole(shape=(4, 7)),
    whole(shape=(0, 6)), whole(shape=(-4, 6)), whole(shape=(2 ** 30, 2 ** 30), strides=(2 ** 30, 2 ** 30)),
])
@pytest.mark.parametrize("pack", [legacy, zipped])
def test_a_tensor_outside_its_storage_is_refused(tmp_path, pack, tensor):
    content = Opcodes().dictionary(w=dict(tensor, legacy=pack is legacy)).stop()
    with pytest.raises(ModelError, match="weights.pth is truncated or not what its name says"):
        read(tmp_path, pack(content))


class Hostile(object):
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


def _attacks(marker):
    """Each would write the file `marker`, or reach for what could."""
    command = "touch '{}'".format(marker)
    return [
        pickle.dumps(Hostile(os.system, command), 2),
        pickle.dumps({"state_dict": {"w": Hostile(os.system, command)}}, 4),
        pickle.dumps(Hostile(eval, "open({!r}, 'w')".format(marker)), 2),
        pickle.dumps(Hostile(open, marker, "w"), 3),
        Opcodes().name("os", "system").text(command).raw(b"\x85R").stop(),
        Opcodes().text("builtins").text("exec").raw(b"\x93").text("1 / 0").raw(b"\x85R").stop(),
        Opcodes().text("os").text("system\n").raw(b"\x93").text(command).raw(b"\x85R").stop(),
        Opcodes().name("torch._utils", "_rebuild_tensor_v2.__globals__").stop(),
        Opcodes().name("collections", "OrderedDict.__class__").stop(),
        Opcodes().name("numpy", "load").text(marker).raw(b"\x85R").stop(),
        Opcodes().name("torch", "load").text(marker).raw(b"\x85R").stop(),
    ]


@pytest.mark.parametrize("index", range(11))
@pytest.mark.parametrize("pack", ["legacy", "first pickle", "zip", "pkl"])
def test_a_hostile_pickle_is_refused_and_runs_nothing(tmp_path, pack, index):
    marker = tmp_path / "marker"
    attack = _attacks(str(marker))[index]
    data = {"legacy": legacy(attack), "first pickle": attack, "zip": zipped(attack), "pkl": attack}[pack]
    with pytest.raises(ModelError, match="the weights ask for '[^\n]+', which no weights need: they are refused$"):
        read(tmp_path, data, read_pkl if pack == "pkl" else read_pth)
    assert not marker.exists()


@pytest.mark.parametrize("content", [
    Opcodes().name("collections", "OrderedDict").raw(b"}b.").data,  # BUILD on the stand-in itself
    Opcodes().name("numpy", "ndarray").raw(b"N}\x8c\x05_callNs\x86b.").data,  # and on its slot
    Opcodes().name("torch", "FloatStorage").raw(b")R.").data,  # a call of what is no function
    Opcodes().name("collections", "OrderedDict").raw(b")\x81.").data,  # NEWOBJ of what is no class
    Opcodes().raw(b"Nr\xff\xff\xff\x1f.").data,  # a memo of 8 GB
    Opcodes().raw(b"(S'touch marker'\nios\nsystem\n.").data,  # INST, a call of the oldest kind
    Opcodes().raw(b"(" * 1000 + b".").data,
    Opcodes().raw(b"\x82\x01.").data,  # an entry of the extension registry
    Opcodes().raw(b"N.").data,
    Opcodes().dictionary(w=whole(dtype="LongStorage")).raw(b"0.").data,
])
def test_a_pickle_that_is_no_state_dict_is_one_clear_line(tmp_path, content):
    with pytest.raises(ModelError, match="weights.pth is truncated or not what its name says: [^\n]+$"):
        read(tmp_path, legacy(content))


@pytest.mark.parametrize("data", [
    b"", b"no weights", MAGIC, pickle.dumps(7), zipped(b""), zipped(Opcodes().dictionary(w=whole()).stop(), VALUES[:7]),
    zipped(Opcodes().dictionary(w=whole(legacy=False)).stop(), byteorder=b"big"),
    legacy(Opcodes().dictionary(w=whole()).stop(), keys=("1",)),
    legacy(Opcodes().dictionary(w=whole()).stop())[:-1],
])
def test_a_damaged_file_is_one_clear_line(tmp_path, data):
    with pytest.raises(ModelError, match="weights.pth is truncated or not what its name says: [^\n]+$"):
        read(tmp_path, data)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_damage_raises_anything_but_a_model_error(tmp_path_factory, data):
    pack = data.draw(st.sampled_from([legacy, zipped]))
    good = bytearray(pack(Opcodes().dictionary(a=whole(legacy=pack is legacy), b=whole(legacy=pack is legacy)).stop()))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(good)))
    try:
        weights = read(tmp_path_factory.getbasetemp(), bytes(good[:cut]) if data.draw(st.booleans()) else bytes(good))
    except ModelError as e:
        assert "\n" not in str(e)
    else:
        assert all(isinstance(array, np.ndarray) for array in weights.values())


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("array", [
    np.linspace(0, 1, 12, dtype=np.float32), np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3))])
def test_arrays_come_out_of_a_pickled_dictionary(tmp_path, protocol, array):
    found = read(tmp_path, pickle.dumps({"mean": array, "note": "text"}, protocol), read_pkl)
    assert list(found) == ["mean"] and np.array_equal(found["mean"], array)


@pytest.mark.parametrize("array", [
    np.array([None]), np.array(["text"]), np.zeros(3, ">f4"), np.zeros(2, [("a", "<f4")]), np.zeros(3, np.int64)])
def test_an_array_of_anything_but_floats_is_refused(tmp_path, array):
    with pytest.raises(ModelError, match="truncated or not what its name says"):
        read(tmp_path, pickle.dumps({"mean": array}, 3), read_pkl)
