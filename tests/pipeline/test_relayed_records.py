"""The whole program: what a live output sends, whose records are made in the relay, is what a file beside it keeps."""
import json
import socket

import pytest
from whole_runs import whole_program

ALL = "landmarks=true&shapes=true&events=true"
AIMS = (("whole", ALL), ("few", "landmarks=false&shapes=false&events=false"))


@pytest.fixture(scope="module")
def program(models_home, tmp_path_factory):
    return whole_program(models_home, tmp_path_factory)


class Receiver:
    def __init__(self, keys):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.address = "udp-json://127.0.0.1:{}?{}".format(self.socket.getsockname()[1], keys)

    def take(self):
        found = []
        try:
            while True:
                found.append(json.loads(self.socket.recv(1 << 16).decode("ascii")))
        except BlockingIOError:
            return found


def told(records):
    """By frame and event; without what tells when it was written."""
    return {(record.get("frame"), record.get("event"), record.get("id"), record.get("phase")):
            {key: value for key, value in record.items() if key != "age_ms"} for record in records}


@pytest.fixture(scope="module")
def recording(program):
    return program.run("portrait", "--max-frames", "90", "--quiet", "--output", "record:run.nfr").path("run.nfr")


@pytest.mark.parametrize("replayed", [False, True])
def test_each_record_and_event_is_that_of_a_file_field_by_field(program, recording, replayed):
    receivers = [Receiver(keys) for _, keys in AIMS]
    words = ["--source", recording if replayed else "portrait", "--set", "source.pace=realtime", "--max-frames", "90"]
    for (name, keys), receiver in zip(AIMS, receivers):
        words += ["--output", "jsonl:{}.jsonl?{}".format(name, keys), "--output", receiver.address]
    done = program.run("--quiet", *words)
    for (name, _), receiver in zip(AIMS, receivers):
        kept, got = told(done.records(name + ".jsonl")), told(receiver.take())
        receiver.socket.close()
        both = [key for key in got if key in kept]  # at the pace of the source a busy machine has each lose some
        assert sum(event is None for _, event, _, _ in both) > 20 and both == sorted(both, key=lambda key: key[0])
        for key in both:
            assert got[key] == kept[key] and list(got[key]) == list(kept[key])
        assert {key for key in got if key[1]} == {key for key in kept if key[1]}
        assert any(event for _, event, _, _ in got) == (name == "whole")
    assert all(face["landmarks"] and "jawOpen" in face["expression"]
               for record in done.records("whole.jsonl") for face in record.get("faces", ()))
