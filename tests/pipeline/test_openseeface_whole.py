"""`nanoface openseeface` in a process of its own: a film in, datagrams, tables and the usual report out."""
import csv
import io
import json
import os
import socket
import struct

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")

from whole_runs import quick, whole_program

from edge.geometry.rotation import from_angles
from edge.sources.choose import make_source
from edge.sources.spec import SourceOptions

FRAMES = 24


@pytest.fixture(scope="module")
def nanoface(models_home, tmp_path_factory):
    return whole_program(models_home, tmp_path_factory)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path, source = str(tmp_path_factory.mktemp("film") / "face.mjpg"), make_source(SourceOptions(spec="portrait"))
    source.open()
    with open(path, "wb") as f:
        for _ in range(FRAMES):
            f.write(cv2.imencode(".jpg", source.read(1.0).image)[1].tobytes())
    source.close()
    return path


@pytest.fixture
def receiver():
    """Bound to a port that was free."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    listening.bind(("127.0.0.1", 0))
    listening.setblocking(False)
    yield listening
    listening.close()


def received(listening):
    """All that came, as (time, id, size, euler, translation, landmarks)."""
    found = []
    while True:
        try:
            data = listening.recv(65536)
        except BlockingIOError:
            return found
        assert len(data) == 1785
        marks = np.array(struct.unpack_from("<136f", data, 345)).reshape(68, 2)
        found.append((struct.unpack_from("<di", data), struct.unpack_from("<ff", data, 12),
                      struct.unpack_from("<3f", data, 49), struct.unpack_from("<3f", data, 61), marks))


def expected_euler(pose):
    """Rz Ry Rx of N S (F R) M, as the description has it."""
    turned = np.diag([-1, -1, 1]).dot([[0, 1, 0], [1, 0, 0], [0, 0, 1]]).dot(np.diag([1, -1, -1])).dot(
        from_angles(pose["yaw"], pose["pitch"], pose["roll"])).dot(np.diag([-1, 1, 1]))
    return np.degrees([np.arctan2(turned[2, 1], turned[2, 2]), -np.arcsin(turned[2, 0]),
                       np.arctan2(turned[1, 0], turned[0, 0])])


def test_a_film_reaches_the_socket_of_the_command_line_of_the_guides(nanoface, film, receiver):
    port = str(receiver.getsockname()[1])
    runtime = ["--set", "models.runtime=" + quick()[1]] if quick() else []
    done = nanoface.call("openseeface", "-c", film, "-W", "1280", "-H", "720", "--ip", "127.0.0.1", "--port", port,
                         "--faces", "1", "--discard-after", "0", "--scan-every", "0", "--no-3d-adapt", "1",
                         "--max-feature-updates", "900", "--face-id-offset", "5", "--log-data", "osf.csv",
                         "--video-out", "seen.avi", "--output", "jsonl:a.jsonl?landmarks=true",
                         "--status", "s.jsonl", *runtime)
    assert done.code == 0 and "Traceback" not in done.err, done.err
    notes = done.notes()
    assert sum("--no-3d-adapt" in line for line in notes) == 1 and any("seen.mp4" in line for line in notes)
    assert done.out.startswith("state") and "openseeface://127.0.0.1:" + port in done.out
    assert os.path.getsize(done.path("seen.mp4")) > 1000

    records = [json.loads(line) for line in done.lines("a.jsonl")]
    assert len(records) == FRAMES and all(len(record["faces"]) == 1 for record in records)
    status = done.records("s.jsonl")[-1]
    sent = next(row for name, row in status["outputs"].items() if name.startswith("openseeface://"))
    packets = received(receiver)
    assert len(packets) == sent["sent"] >= 1 and sent["failed"] == 0
    places = np.array([record["faces"][0]["pose"]["translation_mm"] for record in records]) / -139.0
    last = 0.0
    for (time_s, number), size, euler, (tx, ty, tz), marks in packets:
        assert number == 5 and list(size) == records[0]["size"] and time_s > last
        last = time_s
        off = np.abs(places - (ty, tx, tz)).max(axis=1)
        record = records[off.argmin()]
        assert off.min() < 1e-5
        off = (np.array(euler) - expected_euler(record["faces"][0]["pose"]) + 180.0) % 360.0 - 180.0
        assert np.abs(off).max() < 0.01
        assert np.abs(marks[30] - record["faces"][0]["landmarks"][4][:2]).max() < 0.01

    with io.open(done.path("osf.csv"), newline="") as f:
        rows = list(csv.reader(f))
    assert len(rows) == FRAMES + 1 and {len(row) for row in rows} == {25 + 3 * 68 + 3 * 70 + 14}
    assert [int(row[0]) for row in rows[1:]] == list(range(1, FRAMES + 1)) and rows[1][6] == "5"


def test_nobody_listens_is_told_and_ends_no_run(nanoface, film, receiver):
    port = receiver.getsockname()[1]
    receiver.close()
    done = nanoface.call("openseeface", "-c", film, "--port", str(port), "--status", "s.jsonl", "-s", "1")
    assert done.code == 0 and done.out == "" and done.notes() == []
    rows = [record["outputs"] for record in done.records("s.jsonl")]
    assert list(rows[-1]) == ["openseeface://127.0.0.1:{}".format(port)]


@pytest.mark.parametrize("words, code, said", [
    (["-c", "no.mp4"], 3, "no.mp4"), (["-c", "portrait", "-p", "0"], 2, "-p: 0 is not a whole number"),
])
def test_what_is_wrong_is_one_line_with_the_codes_of_every_run(nanoface, words, code, said):
    done = nanoface.call("openseeface", *words)
    assert done.code == code and said in done.err and len(done.err.strip().split("\n")) == 1 and done.out == ""
