"""Programs that ask a telephone, over real sockets."""
import json
import random
import socket
import time

import pytest

from edge.core.errors import OutputError
from edge.outputs.kinds import OutputOptions, make_output
from edge.outputs.live.signals import at_rest
from edge.outputs.spec import parse_output
from tests.patience import wait_until

ASK = b"iFacialMocap_sahuasouryya9218sauhuiayeta91555dy3719"
V2, STOP = ASK + b"|sendDataVersion=v2", ASK.replace(b"_", b"_UDPTCPSTOP_", 1)
FACE = at_rest()._replace(tracked=True, shapes=dict(at_rest().shapes, jawOpen=0.5))


def free_port():
    with receiver() as s:
        return s.getsockname()[1]


def receiver(host="127.0.0.1", port=0):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((host, port))
    s.setblocking(False)
    return s


class Phone:
    """An output that listens, driven by hand."""

    def __init__(self, kind, keys=""):
        self.port = free_port()
        self.output = make_output(parse_output("{}://:{}{}".format(kind, self.port, keys)),
                                  OutputOptions(False, False, False, lambda: None))

    def __enter__(self):
        self.output.open()
        return self

    def __exit__(self, *error):
        self.output.close()
        self.output.close()

    def ask(self, s, data):
        s.sendto(data, ("127.0.0.1", self.port))

    def show(self):
        self.output.show(FACE, time.monotonic())

    def heard(self, s):
        """What came next, while frames go on."""
        def came():
            self.show()
            try:
                return s.recv(65507)
            except BlockingIOError:
                return None
        return wait_until(came)

    def quiet(self, s):
        """Whether nothing more comes."""
        drain(s)
        for _ in range(20):
            self.show()
        return drain(s) == 0

    @property
    def refused(self):
        return self.output.more_counts()["refused"]


def drain(s):
    count = 0
    while True:
        try:
            s.recv(65507)
        except BlockingIOError:
            return count
        count += 1


def test_each_program_gets_its_version_at_the_port_of_the_protocol():
    port = free_port()
    with Phone("ifacialmocap", "?port={}".format(port)) as phone, receiver("127.0.0.2", port) as one, \
            receiver("127.0.0.3", port) as other, receiver("127.0.0.3") as elsewhere:
        assert phone.output.condition == "nobody receives it" and phone.quiet(one)
        phone.ask(one, ASK)
        phone.ask(elsewhere, V2)  # it is sent to its address, not to its port
        assert b"|jawOpen-50|" in phone.heard(one) and b"|jawOpen&50|" in phone.heard(other)
        assert phone.output.condition == "2 receivers" and drain(elsewhere) == 0
        phone.ask(one, STOP)
        wait_until(lambda: phone.quiet(one))
        assert phone.heard(other) and phone.refused == 0


def test_a_program_that_does_not_ask_again_is_sent_to_for_as_long_as_its_user_says():
    port = free_port()
    with Phone("ifacialmocap", "?port={}&expires_s=60".format(port)) as phone, receiver("127.0.0.2", port) as s:
        phone.ask(s, ASK)
        assert phone.heard(s)
        now = time.monotonic()
        phone.ask(s, ASK)
        phone.output.show(FACE, now + 55.0)  # asked again: it holds from then on
        phone.output.show(FACE, now + 114.0)
        assert phone.output.condition == "1 receiver"
        phone.output.show(FACE, now + 116.0)
        assert phone.output.condition == "nobody receives it"


def test_one_more_program_than_there_is_room_for_is_refused():
    port = free_port()
    with Phone("ifacialmocap", "?port={}".format(port)) as phone:
        for n in range(2, 20):
            with receiver("127.0.0.{}".format(n)) as s:
                phone.ask(s, ASK)
        wait_until(lambda: phone.show() or phone.refused == 2)
        assert phone.output.condition == "16 receivers"


def test_a_handshake_over_tcp_or_from_this_machine_says_what_to_do():
    with Phone("ifacialmocap") as phone, receiver() as s:
        phone.ask(s, ASK.replace(b"_", b"_UDPTCP_", 1) + b"|sendDataVersion=v2")
        wait_until(lambda: phone.show() or phone.refused == 1)
        assert phone.output.condition == "127.0.0.1 asks over TCP: choose UDP there"
    with Phone("ifacialmocap") as phone, receiver() as s:
        phone.output._port = phone.port
        phone.ask(s, ASK)
        wait_until(lambda: phone.show() or phone.refused == 1)
        assert "write ifacialmocap://127.0.0.1" in phone.output.condition


def test_a_host_gets_it_unasked():
    with receiver() as s:
        s.settimeout(60.0)
        for version, mark in (("", b"-"), ("?version=v2", b"&")):
            output = make_output(parse_output("ifacialmocap://127.0.0.1:{}{}".format(s.getsockname()[1], version)),
                                 OutputOptions(False, False, False, lambda: None))
            output.open()
            output.show(FACE, 0.0)
            assert b"|jawOpen" + mark + b"50|" in s.recv(9000)
            output.close()
        assert output.more_counts() == {} and output.condition == ""


@pytest.mark.parametrize("kind, cure", [("ifacialmocap", "write ifacialmocap://127.0.0.1"), ("vts-phone", "cannot listen at")])
def test_a_port_that_is_taken_says_what_to_do(kind, cure):
    with receiver() as s:
        output = make_output(parse_output("{}://:{}".format(kind, s.getsockname()[1])),
                             OutputOptions(False, False, False, lambda: None))
        with pytest.raises(OutputError, match=cure):
            output.open()
        output.close()


def request(*sockets, **more):
    return json.dumps(dict({"messageType": "iOSTrackingDataRequest", "time": 10.0, "sentBy": "App",
                            "ports": [s.getsockname()[1] for s in sockets]}, **more)).encode()


def test_a_program_gets_it_at_every_port_that_it_lists_for_as_long_as_it_asks():
    with Phone("vts-phone") as phone, receiver() as asking, receiver() as one, receiver() as other:
        phone.ask(asking, request(one, other))
        found = [json.loads(phone.heard(s).decode()) for s in (one, other)]
        assert all({row["k"]: row["v"] for row in each["BlendShapes"]}["JawOpen"] == 0.5 for each in found)
        assert phone.output.condition == "2 receivers" and drain(asking) == 0
        phone.ask(asking, request(one, other, time=0.5))
        wait_until(lambda: phone.quiet(one) and phone.quiet(other))
        assert phone.output.condition == "nobody receives it"


@pytest.mark.parametrize("kind", ["ifacialmocap", "vts-phone"])
def test_a_flood_is_counted_and_a_program_gets_through(kind):
    rng, port = random.Random(7), free_port()
    with Phone(kind, "?port={}".format(port) if kind == "ifacialmocap" else "") as phone, receiver("127.0.0.2", port) as s, \
            receiver() as flood:
        for _ in range(5000):
            phone.ask(flood, bytes(rng.randrange(256) for _ in range(rng.choice([0, 1, 50, 900]))))
            if rng.random() < 0.05:
                phone.show()
        phone.ask(s, ASK if kind == "ifacialmocap" else request(s))
        for _ in range(200):
            phone.show()
        phone.ask(s, ASK if kind == "ifacialmocap" else request(s))
        assert phone.heard(s) and phone.refused > 1000 and drain(flood) == 0
        assert phone.output.condition == "1 receiver"
