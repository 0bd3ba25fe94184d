"""A relay with a live output made for tests: a toy writes each frame to its peer's UDP port as JSON, or does something bad.

Run as the relay's process: the tests put this module in the place of edge.outputs.relay.process.
"""
import ctypes
import json
import logging
import os
import socket
import sys
import time

import numpy as np

from edge.core.errors import OutputError
from edge.core.rules import choice
from edge.outputs.kinds import ADDRESS, KINDS, RECORDS, Key, Kind
from edge.outputs.live.output import LiveOutput

BEHAVIOURS = ("good", "bug", "hang", "gil", "closed", "slow_close", "loud", "pid")
KEYS = dict(RECORDS, does=Key(choice(*BEHAVIOURS), "for tests"))
TOY = Kind(ADDRESS, "relay.toys:make", "for tests", "toy://127.0.0.1:1", KEYS, live=True)
FOR_EVER_S = 3600.0
RAISED = []  # once is enough


class Toy(LiveOutput):
    note = "is a toy"

    def __init__(self, spec, options):
        super().__init__(spec, options)
        self._does = spec.keys.get("does", "good")
        self._socket, self.condition = None, ""

    def open(self):
        if self._does == "closed":
            raise OutputError("output {}: nobody is there".format(self.name))
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(self.spec.address)
        self.condition = "1 receiver"

    def send(self, record, events, now):
        if record is None and not events:
            return
        frame = -1 if record is None else record["frame"]
        if self._does == "bug" and not RAISED:
            RAISED.append(frame)
            raise KeyError("a bug")
        if self._does == "hang":
            time.sleep(FOR_EVER_S)
        if self._does == "gil":
            ctypes.PyDLL(None).sleep(3600)  # the interpreter's lock is not let go
        if self._does == "loud":
            logging.getLogger(__name__).warning("frame %d is odd", frame // 1000)
        faces = record["faces"] if record else []
        told = {"frame": frame, "events": [event["id"] for event in events], "pid": os.getpid(), "heavy": heavy(),
                "arrays": [face["landmarks"].shape for face in faces if isinstance(face.get("landmarks"), np.ndarray)],
                "shapes": [sorted(face["expression"]) for face in faces]}
        try:
            self._socket.send(json.dumps(told).encode("ascii"))
        except OSError:
            pass

    def more_counts(self):
        return {"refused": 3}

    def close(self):
        if self._does == "slow_close":
            time.sleep(FOR_EVER_S)
        if self._socket is not None:
            self._socket.close()


make = Toy


def heavy():
    return sorted({"cv2", "onnxruntime", "openvino", "edge.models", "edge.config"} & set(sys.modules))


def main(argv):
    from edge.outputs.relay import process

    KINDS["toy"] = TOY
    return process.main(argv)


sys.modules["edge.outputs.relay.toys"] = sys.modules[__name__]
