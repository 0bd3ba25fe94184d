"""The output openseeface against sockets: who receives, who does not, and a place that changes."""
import itertools
import socket

import numpy as np
import pytest
from patience import wait_until

from edge.core import clock
from edge.outputs.kinds import OutputOptions, make_output
from edge.outputs.sender import Sender
from edge.outputs.spec import parse_output


def item(frame, faces=1):
    points = np.random.RandomState(frame).uniform(50.0, 400.0, (468, 3))
    pose = {"rotation": np.eye(3).tolist(), "translation_mm": [0.0, 0.0, 600.0]}
    return {"frame": frame, "captured_at": clock.monotonic(), "size": [640, 480], "events": [],
            "faces": [{"id": i + 1, "score": 0.9, "landmarks": points, "pose": pose} for i in range(faces)]}


def bound(port=0):
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listening.bind(("127.0.0.1", port))
    listening.settimeout(60.0)
    return listening


@pytest.fixture
def sender():
    """Of an output to a port where a receiver listens, and the receiver."""
    receiver = bound()
    text = "openseeface://127.0.0.1:{}".format(receiver.getsockname()[1])
    options = OutputOptions(landmarks=False, mirror=False, blocking=False, fps=lambda: 30.0)
    started = Sender(make_output(parse_output(text), options), 1)
    started.start()
    yield started, receiver
    receiver.close()
    assert started.close(60.0)


@pytest.mark.parametrize("faces", [1, 4, 36, 40])
def test_all_faces_of_a_frame_are_one_datagram(sender, faces):
    started, receiver = sender
    started.put(item(0, faces))
    assert len(receiver.recv(70000)) == 1785 * min(faces, 36)
    wait_until(lambda: started.stats()["sent"] == 1)
    left_out = started.stats().get("faces_left_out", 0)
    assert left_out == max(0, faces - 36) and ("36 faces" in started.stats()["state"]) == (left_out > 0)


def test_that_nothing_listens_is_told_until_something_does(sender):
    started, receiver = sender
    place = receiver.getsockname()
    started.put(item(0))
    assert len(receiver.recv(70000)) == 1785 and started.stats()["state"] == "ok"
    receiver.close()
    frames = itertools.count(1)

    def told(state):
        started.put(item(next(frames)))
        return started.stats()["state"] == state

    wait_until(lambda: told("nothing listens at 127.0.0.1:{}".format(place[1])))
    assert started.stats()["failed"] == 0
    again = bound(place[1])
    wait_until(lambda: told("ok"))
    assert len(again.recv(70000)) == 1785
    again.close()
