"""Outputs that are servers, and what their tests send: made at a port that is free, and closed."""
import socket

import numpy as np
from patience import PATIENCE_S

from edge.core.rules import Address
from edge.outputs.kinds import OutputOptions, make_output
from edge.outputs.live.output import LiveOutput
from edge.outputs.spec import parse_output

OPTIONS = OutputOptions(False, False, False, lambda: None)


def made(text, address=("127.0.0.1", 0)):
    """The output of an --output, not opened, at another address."""
    output = make_output(parse_output(text)._replace(address=Address(*address)), OPTIONS)
    assert isinstance(output, LiveOutput)
    return output


def record(frame=1, faces=1, **face):
    told = {"id": 1, "score": 0.9, "box": [10.0, 20.0, 110.0, 140.0],
            "pose": {"yaw": -10.0, "pitch": 15.0, "roll": 5.0, "rotation": np.eye(3).tolist()}, "missing": {}}
    return {"schema": 1, "frame": frame, "captured_at": 100.0 + frame / 30.0, "time_s": frame / 30.0, "age_ms": 20.0,
            "size": [640, 480], "faces": [dict(told, id=1 + i, **face) for i in range(faces)], "events": []}


def event(number, name="blink"):
    return {"schema": 1, "event": name, "id": number, "phase": "end", "frame": number, "time_s": number / 30.0}


def exchange(port, text, until=b"\r\n\r\n"):
    """What the server says to these bytes, until it closes or has said `until`."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as peer:
        peer.sendall(text)
        said = b""
        while until not in said:
            data = peer.recv(65536)
            if not data:
                break
            said += data
        return said


def upgrade(host="127.0.0.1", path="/", **headers):
    """A WebSocket client's first words."""
    lines = ["GET {} HTTP/1.1".format(path), "Host: " + host, "Upgrade: websocket", "Connection: Upgrade",
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
    lines += ["{}: {}".format(name.replace("_", "-"), value) for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
