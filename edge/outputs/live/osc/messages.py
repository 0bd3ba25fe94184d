"""OSC messages and bundles. What repeats in every frame is encoded by python-osc once; then only its numbers change."""
import struct
from typing import Any, Dict, Iterable, List, Sequence, Tuple

LARGEST_BUNDLE = 1400  # bytes: VMC allows 1500, and this fits into one packet of any network, through a tunnel too
NUMBER = 4  # bytes of a float32 or an int32


class Encoder:
    """Used by one output: what it has encoded before stays in memory, so the addresses have to be a bounded set."""

    def __init__(self) -> None:
        from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
        from pythonosc.osc_message_builder import OscMessageBuilder

        self._builder = OscMessageBuilder
        self._head: bytes = OscBundleBuilder(IMMEDIATELY).build().dgram
        self._starts: Dict[Tuple[str, str, int], bytes] = {}

    def floats(self, address: str, values: Sequence[float], text: str = "") -> bytes:
        """A message of float32 numbers, behind a text where there is one."""
        key = address, text, len(values)
        start = self._starts.get(key)
        if start is None:
            whole = self.message(address, ([text] if text else []) + [0.0] * len(values))
            start = self._starts[key] = whole[:len(whole) - NUMBER * len(values)]
        return start + struct.pack(">{}f".format(len(values)), *values)

    def message(self, address: str, values: Iterable[Any] = ()) -> bytes:
        """Of any values: int becomes int32, float float32."""
        builder = self._builder(address)
        for value in values:
            builder.add_arg(value, {str: "s", int: "i", float: "f"}[type(value)])
        dgram: bytes = builder.build().dgram
        return dgram

    def bundle(self, messages: Iterable[bytes]) -> bytes:
        """Whatever its size; to be handled at once."""
        return self._head + b"".join(struct.pack(">i", len(message)) + message for message in messages)

    def bundles(self, messages: Iterable[bytes]) -> List[bytes]:
        """As few as hold them in their order; one message that is larger than a bundle may be has its own."""
        full: List[List[bytes]] = [[]]
        size = len(self._head)
        for message in messages:
            size += NUMBER + len(message)
            if size > LARGEST_BUNDLE and full[-1]:
                full.append([])
                size = len(self._head) + NUMBER + len(message)
            full[-1].append(message)
        return [self.bundle(group) for group in full if group]
