"""Frames with a face for SSI streams and annotations, what a run of them leaves, and a writer that is killed."""
import os
import subprocess
import sys
import time

import numpy as np
from patience import PATIENCE_S

from edge.core.packet import Face, Frame, Packet, Roi
from edge.core.parts import POINTS_ONLY
from edge.outputs.kinds import OutputOptions, make_output
from edge.outputs.record import encode
from edge.outputs.spec import parse_output
from edge.ssi.stream import read_stream

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
POINTS = np.random.RandomState(0).uniform(40.0, 200.0, (468, 3))
IMAGE = np.zeros((480, 640, 3), np.uint8)


def face(track_id=1, score=0.9, box=(100.0, 50.0, 140.0, 150.0)):
    return Face(track_id, Roi(120.0, 100.0, 100.0, 0.0), score, box, POINTS + track_id)


def packet(seq, time_s, *faces, file=""):
    return Packet(Frame(seq, 5.0 + time_s, time_s, IMAGE, file), faces)


def written(path, packets, kind="ssi-box", keys="", fps=30.0):
    """What a run of these frames leaves."""
    output = make_output(parse_output("{}:{}{}".format(kind, path, keys)), OutputOptions(True, False, True, lambda: fps))
    output.open()
    for one in packets:
        output.emit(one if output.needs_picture else encode(one, 6.0, POINTS_ONLY, as_lists=not output.arrays))
    counts = output.more_counts()
    output.close()
    output.close()
    return read_stream(str(path)), counts


WRITES = """
import sys
sys.path[:0] = [{tests!r}, {root!r}]
from fakes.ssi import *
output = make_output(parse_output("ssi:" + {path!r}), OutputOptions(True, False, True, lambda: 30.0))
output.open()
record = encode(packet(0, 0.0, face()), 6.0, POINTS_ONLY)
for i in range(10 ** 6):
    output.emit(dict(record, frame=i, time_s=i / 30.0))
"""


def killed_writer(path):
    """Leaves a stream whose writer was killed in the midst of it."""
    process = subprocess.Popen([sys.executable, "-c", WRITES.format(tests=TESTS, root=os.path.dirname(TESTS), path=path)])
    deadline = time.monotonic() + PATIENCE_S
    while not os.path.exists(path + "~") or os.path.getsize(path + "~") < 20 * 937 * 4:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.001)
    process.kill()
    process.wait()


def ended(name, start_s, end_s, face=1, **more):
    return dict({"event": name, "phase": "end", "face": face, "start_s": start_s, "end_s": end_s, "confidence": 0.876}, **more)


def annotated(path, events, keys=""):
    """The lines of data, and the header's text, before and after the end."""
    output = make_output(parse_output("ssi-events:{}{}".format(path, keys)), OutputOptions(True, False, True, lambda: 30.0))
    output.open()
    output.emit({"frame": 0, "faces": [], "events": [dict(ended("blink", 1.0, 2.0), phase="start")]})
    for event in events:
        output.emit({"schema": 1, "events": [event]})
    texts = []
    for _ in range(2):
        texts.append((open(str(path) + "~").read().splitlines(), open(str(path)).read()))
        output.close()
    return texts
