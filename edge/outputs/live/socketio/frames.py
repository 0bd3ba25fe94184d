"""The texts of Engine.IO 3 and 4, and of the Socket.IO packets in them. No I/O.

A WebSocket message is one Engine.IO packet: a digit, and what belongs to it. Long polling carries several at once, a payload.
All that is sent is ASCII, so that characters, UTF-16 units and bytes are the same number.
"""
import json
import re
from typing import Any, Iterable, List, NamedTuple

from edge.host.reading import parse_json

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0123456"  # of Engine.IO
CONNECT, DISCONNECT, EVENT, ACK, ERROR, BINARY_EVENT, BINARY_ACK = "0123456"  # of Socket.IO
ROOT, NAMESPACE = "/", "/kizuna"  # that of OpenVtuber and DLVYF
SENT, BROADCAST, OWN_EVENT = "result_data", "result_download", "nanoface_event"
PROBE = "probe"
RECORD_SEPARATOR = "\x1e"
MOST_PACKETS = 32  # in one payload
PACKET = re.compile(r"([0-6])(?:\d+-)?(/[^,?]*)?(\?[^,]*)?,?(\d*)(.*)\Z", re.DOTALL)
_dumps = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


class Packet(NamedTuple):
    """Of Socket.IO; `data` is JSON, or empty."""

    kind: str
    namespace: str
    data: str


def packet(kind: str, namespace: str = ROOT, data: Any = None) -> str:
    """A Socket.IO packet as an Engine.IO message. Both generations write it so, with other `data` in CONNECT and ERROR."""
    place = "" if namespace == ROOT else namespace + ","
    return MESSAGE + kind + place + ("" if data is None else _dumps(data))


def event(name: str, value: Any, namespace: str = NAMESPACE) -> str:
    return packet(EVENT, namespace, [name, value])


def read(message: str) -> Packet:
    """Of the text behind MESSAGE. Raises ValueError."""
    found = PACKET.match(message)
    if found is None:
        raise ValueError("no Socket.IO packet")
    kind, namespace, _, _, data = found.groups()
    return Packet(kind, namespace or ROOT, data)


def opening(sid: str, interval_s: float, timeout_s: float, most_bytes: int, upgrades: bool) -> str:
    return OPEN + _dumps({"sid": sid, "upgrades": ["websocket"] if upgrades else [], "pingInterval": int(1000 * interval_s),
                          "pingTimeout": int(1000 * timeout_s), "maxPayload": most_bytes})


def read_opening(text: str) -> Any:
    """(pingInterval, pingTimeout) in seconds of a server's first packet. Raises ValueError."""
    told = parse_json(text[1:].encode("utf-8")) if text.startswith(OPEN) else None
    if not isinstance(told, dict):
        raise ValueError("no OPEN packet")
    times = [told.get(key) for key in ("pingInterval", "pingTimeout")]
    if not all(isinstance(ms, (int, float)) and not isinstance(ms, bool) and 0 < ms < 1e8 for ms in times):
        raise ValueError("an OPEN packet without times")
    return times[0] / 1000.0, times[1] / 1000.0  # type: ignore[operator]


def joined(packets: Iterable[str], generation: int) -> str:
    """A payload."""
    if generation == 4:
        return RECORD_SEPARATOR.join(packets)
    return "".join("{}:{}".format(len(one), one) for one in packets)


def split(payload: bytes, generation: int) -> List[str]:
    """The packets of a payload, at most MOST_PACKETS; binary ones are empty. Raises ValueError."""
    if generation == 4:
        text = payload.decode("utf-8")
        found = ["" if one.startswith("b") else one for one in text.split(RECORD_SEPARATOR, MOST_PACKETS)]
    else:
        found = _split_binary(payload) if payload[:1] in (b"\0", b"\1") else _split_text(payload.decode("utf-8"))
    if len(found) > MOST_PACKETS:
        raise ValueError("too many packets in a payload")
    return found


def _split_text(text: str) -> List[str]:
    """LENGTH:PACKET..., the length in UTF-16 units."""
    units, at, found = text.encode("utf-16-le"), 0, []  # type: bytes, int, List[str]
    while at < len(units) and len(found) <= MOST_PACKETS:
        colon = units.find(":".encode("utf-16-le"), at, at + 20)
        digits = units[at:colon].decode("utf-16-le") if colon > at else ""
        if not re.match(r"[0-9]{1,8}\Z", digits):
            raise ValueError("no length before a packet")
        at = colon + 2 + 2 * int(digits)
        if at > len(units):
            raise ValueError("a packet is cut off")
        one = units[colon + 2:at].decode("utf-16-le")
        found.append("" if one.startswith("b") else one)
    return found


def _split_binary(payload: bytes) -> List[str]:
    """0 (text) or 1, the digits of the length, 255, PACKET..., the length in bytes."""
    at, found = 0, []  # type: int, List[str]
    while at < len(payload) and len(found) <= MOST_PACKETS:
        end = payload.find(b"\xff", at, at + 10)
        digits = payload[at + 1:end]
        if payload[at] > 1 or not digits or max(digits) > 9:
            raise ValueError("no length before a packet")
        length = int("".join(map(str, digits)))
        if end + 1 + length > len(payload):
            raise ValueError("a packet is cut off")
        found.append(payload[end + 1:end + 1 + length].decode("utf-8") if payload[at] == 0 else "")
        at = end + 1 + length
    return found
