"""mqtt against brokers that stall, flood and lie: nothing blocks, the memory stays flat, and it is one line at worst."""
import random
import socket
import threading
import time

import pytest
from fakes.records import blink, face, record
from patience import stretch

from edge.core.errors import OutputError
from edge.outputs.kinds import OutputOptions
from edge.outputs.live.mqtt import connection
from edge.outputs.live.mqtt.output import MqttOutput
from edge.outputs.spec import parse_output


def output(port, words="?id=desk"):
    return MqttOutput(parse_output("mqtt://127.0.0.1:{}/rooms/desk{}".format(port, words)),
                      OutputOptions(False, False, False, lambda: None, events=True))


class BadBroker:
    """Takes each connection and lets `serve(socket)` do the rest."""

    def __init__(self, serve):
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(5)
        self.port, self._serve, self.sockets = self._listener.getsockname()[1], serve, []
        threading.Thread(target=self._run, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()
        for taken in self.sockets:
            taken.close()

    def _run(self):
        while True:
            try:
                taken, _ = self._listener.accept()
            except OSError:
                return
            self.sockets.append(taken)
            threading.Thread(target=self._one, args=(taken,), daemon=True).start()

    def _one(self, taken):
        try:
            self._serve(taken)
        except OSError:
            pass


TAKEN = b"\x20\x02\x00\x00"  # CONNACK


def publish(topic, payload, qos=0):
    body = len(topic).to_bytes(2, "big") + topic + (b"\0\1" if qos else b"") + payload
    length, left = b"", len(body)
    while True:
        length += bytes([left % 128 | (128 if left >= 128 else 0)])
        left //= 128
        if not left:
            return bytes([0x30 | qos << 1]) + length + body


def test_a_broker_that_never_answers_is_given_up_soon():
    with BadBroker(lambda taken: time.sleep(60)) as bad:
        began = time.monotonic()
        with pytest.raises(OutputError, match="does not answer as an MQTT broker does"):
            output(bad.port).open()
        assert time.monotonic() - began < 2.5 * connection.CONNECT_S * stretch()


def test_nobody_there_is_one_line_with_the_address():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with pytest.raises(OutputError, match="no broker at 127.0.0.1:{}: Connection refused".format(port)):
        output(port).open()


def test_a_broker_that_takes_nothing_more_neither_blocks_nor_fills_the_memory(monkeypatch):
    monkeypatch.setattr(connection, "STALLED_S", 1.0)

    def serve(taken):
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        taken.recv(1000)
        taken.sendall(TAKEN)
        time.sleep(60)

    with BadBroker(serve) as bad:
        made, longest = output(bad.port, "?id=desk&shapes=true&every=0&deadband=0"), 0.0
        made.open()
        with pytest.raises(OutputError, match="takes nothing any more"):
            for i in range(100000):
                began, one = time.monotonic(), record(face(yaw=i % 90, expression={"jawOpen": i % 100 / 100.0}), frame=i)
                made.emit(dict(one, events=[dict(blink(i), captured_at=one["captured_at"], note="x" * 20000)]))
                longest = max(longest, time.monotonic() - began)
                time.sleep(0.001)
        assert len(made._events_waiting) <= 100 and longest < stretch()
        made.close()


@pytest.mark.parametrize("flood", [
    publish(b"homeassistant/status", b"x" * (20 << 20)), publish(b"homeassistant/status", b"online") * 100000,
    b"".join(publish(b"a", b"x" * 60000, 2) for _ in range(50))], ids=["huge", "many", "qos 2"])
def test_a_broker_that_floods_us_is_read_no_more(flood):
    def serve(taken):
        taken.recv(1000)
        taken.sendall(TAKEN)
        subscribed = taken.recv(1000)
        if b"homeassistant" in subscribed:
            taken.sendall(flood)
        while taken.recv(1000):
            pass

    with BadBroker(serve) as bad:
        made = output(bad.port)
        made.open()
        with pytest.raises(OutputError, match="sends more than it was asked for"):
            for _ in range(10000):
                made.tick()
        made.close()
        made.open()  # and asks for nothing
        made.tick()
        assert "nothing of it is read" in made.condition and made._connection._taken < 1 << 18
        made.close()


@pytest.mark.parametrize("seed", range(30))
def test_whatever_a_broker_says_is_an_output_error_at_worst(seed):
    chance = random.Random(seed)
    pieces = [TAKEN, publish(b"rooms/desk/owner", b"owner:" + b"1" * 16), publish(b"\xff\xfe", b"x"), b"\x90\x03\x00\x01\x00",
              b"\x20\x00", b"\x30\x01\x00", b"\xd0\x00", b"\x40\x02\x00\x09",
              b"\x62\x02\x00\x01", b"\x32\x03\x00\x05a", b"\xf0\x00",
              publish(b"homeassistant/status", b"online")]

    def serve(taken):
        taken.recv(1000)
        if seed % 3:
            taken.sendall(TAKEN)
        for _ in range(20):
            taken.sendall(chance.choice(pieces + [bytes(chance.randrange(256) for _ in range(chance.randrange(1, 30)))]))
        time.sleep(0.2)
        taken.close()

    with BadBroker(serve) as bad:
        made = output(bad.port)
        with pytest.raises(OutputError) as caught:
            made.open()
            for _ in range(10000):
                made.tick()
                time.sleep(0.001)
        made.close()
        made.close()
    assert "\n" not in str(caught.value)
