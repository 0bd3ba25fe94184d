"""iFacialMocap: a line of text for each frame, to a host, or as its telephone does it, to port 49983 of whoever asks.

A program asks once, as most do, or again and again, with a text that all of them know; it is sent to the address that it
came from, not to its port. So that a program which asks once gets on for an evening, and a forged address does little harm,
the line goes on until the port refuses it (requesters.py), `STOP` comes, or EXPIRES_S is over.
The variant over TCP is not served: it would have us open connections to whatever a forged datagram names, and its
readers take UDP too. Nor is Facemotion3d's, another port and text of the same maker: what reads it reads this.
"""
from typing import Dict, Optional

from edge.core.errors import OutputError
from edge.core.parts import SHAPES
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.live.axes import eye_euler, unity_euler, unity_position
from edge.outputs.live.output import AvatarOutput, peers
from edge.outputs.live.phone.requesters import Requesters, is_here
from edge.outputs.live.signals import Signals
from edge.outputs.live.udp import UdpListener, UdpTarget

PORT = 49983  # of the telephone and of the programs
WORD = b"sahuasouryya9218sauhuiayeta91555dy3719"
V1, V2 = "v1", "v2"
SEPARATORS = {V1: "-", V2: "&"}
ASKING = {b"iFacialMocap_" + WORD: V1, b"iFacialMocap_" + WORD + b"|sendDataVersion=v2": V2}
OVER_TCP, STOP = b"iFacialMocap_UDPTCP_" + WORD, b"iFacialMocap_UDPTCPSTOP_" + WORD
EXPIRES_S = 4 * 3600.0  # after it asked last
MOST = 16  # programs at once
WHOLE_NAMES = ("jawLeft", "jawRight", "mouthLeft", "mouthRight")  # they go to a side, and are of none
NUDGE_M = 1e-6


def written(name: str) -> str:
    """A shape as the line has it."""
    for side in ("Left", "Right"):
        if name.endswith(side) and name not in WHOLE_NAMES:
            return name[:-len(side)] + "_" + side[0]
    return name


FORMS = {version: "|".join("{}{}%d".format(written(name), mark) for name in SHAPES)
         + "|=head#%.6f,%.6f,%.6f,%.6f,%.6f,%.6f|rightEye#%.6f,%.6f,%.6f|leftEye#%.6f,%.6f,%.6f|"
         for version, mark in SEPARATORS.items()}


def encode(signals: Signals, version: str, nudge: bool = False) -> bytes:
    """`nudge`: the head is a micrometre nearer, so that a face that keeps still is no line like the one before: VMagicMirror
    takes that for a lost face, which it is meant to see only while there is none."""
    x, y, z = unity_position(signals.position_mm)
    shapes = tuple(round(100.0 * min(1.0, max(0.0, signals.shapes[name]))) for name in SHAPES)
    values = shapes + unity_euler(signals.rotation) + (x, y, z + NUDGE_M if nudge else z)
    return (FORMS[version] % (values + eye_euler(signals.gaze["right"]) + eye_euler(signals.gaze["left"]))).encode("ascii")


class IFacialMocap(AvatarOutput):
    """To a host, in the version that was asked for; or to all who ask, each in its own."""

    def __init__(self, spec: OutputSpec, options: OutputOptions) -> None:
        super().__init__(spec, options)
        assert spec.address is not None
        self._version, self._port = spec.keys.get("version", V1), spec.keys.get("port", PORT)
        self._expires_s = spec.keys.get("expires_s", EXPIRES_S)
        self._target = None if spec.listens else UdpTarget(self.name, spec.address)
        self._listener = UdpListener(self.name, spec.address)
        self._asking = Requesters(MOST, spec.keys.get("anywhere", False))
        self._invalid = 0
        self._hint = ""
        self._last: Dict[str, bytes] = {}  # what was sent last, by version

    @property
    def condition(self) -> str:  # type: ignore
        if self._target is not None:
            return self._target.condition
        return self._hint if self._hint and not self._asking else peers(len(self._asking))

    def more_counts(self) -> Dict[str, int]:
        return {} if self._target is not None else {"refused": self._invalid + self._asking.refused + self._listener.refused}

    def open(self) -> None:
        if self._target is not None:
            self._target.open()
            return
        try:
            self._listener.open()
        except OutputError as e:
            raise OutputError("{}; where the program that receives runs on this machine, it has that port: write "
                              "ifacialmocap://127.0.0.1".format(e))

    def show(self, signals: Signals, now: float) -> None:
        if self._target is not None:
            self._target.send(self._line(signals, self._version))
            return
        for data, (host, _) in self._listener.received():
            self._heed(data, host, now)
        lines = {version: self._line(signals, version) for version in self._asking.forms}
        self._asking.send(lambda version: lines[version], now)

    def close(self) -> None:
        self._asking.close()
        self._listener.close()
        if self._target is not None:
            self._target.close()

    def _heed(self, data: bytes, host: str, now: float) -> None:
        text = data.rstrip(b"\0\r\n ")
        version: Optional[str] = ASKING.get(text)
        if text == STOP:
            self._asking.stop(host)
        elif version is None:
            self._invalid += 1
            if text.startswith(OVER_TCP):
                self._hint = "{} asks over TCP: choose UDP there".format(host)
        elif self._port == self._listener.port and is_here(host):
            self._invalid += 1  # the line would come back to us
            self._hint = "a program on this machine asks: write ifacialmocap://127.0.0.1"
        else:
            self._asking.take(host, self._port, version, now + self._expires_s, now)

    def _line(self, signals: Signals, version: str) -> bytes:
        line = encode(signals, version)
        if signals.tracked and line == self._last.get(version):
            line = encode(signals, version, nudge=True)
        self._last[version] = line
        return line


make = IFacialMocap
