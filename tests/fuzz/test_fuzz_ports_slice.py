"""A slice of `make fuzz-ports`: 20000 hostile messages to all that listens; and that each fault would be found."""
import random
import socket
import sys

import pytest

fuzz_ports = pytest.importorskip("fuzz_ports")
ports_inputs = pytest.importorskip("ports_inputs")
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="attackers need 127.0.0.66")


def test_no_hostile_message_does_harm_or_is_answered():
    lines, faults = fuzz_ports.fuzz(20000, "slice")
    assert faults == [], "\n".join(lines)
    assert len(lines) == 1 + 5 + 2 and all(int(line.split()[3]) > 0 for line in lines[1:6])  # some were read


def test_what_parses_a_datagram_raises_nothing_and_keeps_to_its_bounds():
    lines, faults = fuzz_ports.parse_all(20000, "slice")
    assert faults == [] and len(lines) == 3


class Place:
    """In the place of the process that serves."""

    def __init__(self, port):
        self.answers, self.ports = fuzz_ports.free_port(), dict.fromkeys(("ifacialmocap", "ws"), port)


def test_a_port_that_answers_who_did_not_ask_is_found():
    with fuzz_ports.datagrams("127.0.0.1") as bad:
        attack = fuzz_ports.Attack(Place(bad.getsockname()[1]), 1)
        bad.sendto(b"x", (fuzz_ports.ATTACKER, attack._served.answers))
        attack.datagrams("ifacialmocap", 3)
    assert attack.answered["ifacialmocap"] == 1 and "which did not ask" in attack.faults[0]


@pytest.mark.parametrize("answer", [b'HTTP/1.1 200 OK\r\n\r\n{"schema":1,"faces":[]}', b"x" * 300000], ids=["a frame", "much"])
def test_a_server_that_tells_everybody_is_found(answer):
    from threading import Thread

    def serve():
        while True:
            try:
                taken, _ = listener.accept()
                taken.recv(1 << 16)
                taken.sendall(answer)
                taken.shutdown(socket.SHUT_WR)
                while taken.recv(1 << 16):
                    pass
            except OSError:
                if listener.fileno() < 0:
                    return

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        Thread(target=serve, daemon=True).start()
        attack = fuzz_ports.Attack(Place(listener.getsockname()[1]), 1)
        for _ in range(200):
            if not attack.faults:
                attack.conversation("ws", 1)
    assert "ws answered" in attack.faults[0]


@pytest.mark.parametrize("seed", range(3))
def test_no_hostile_datagram_is_a_request(seed):
    """By the documents: iFacialMocap's word and what may end it; a request of VTube Studio with all of its fields well."""
    chance = random.Random(seed)
    for _ in range(3000):
        data = ports_inputs.of_ifacialmocap(chance).rstrip(b"\0\r\n ")
        assert data not in (ports_inputs.WORD, ports_inputs.WORD + b"|sendDataVersion=v2")
    from edge.outputs.live.phone.vtsphone import read_request
    from edge.outputs.live.vts.messages import port_of
    assert all(read_request(ports_inputs.of_vts_phone(chance)) is None for _ in range(3000))
    assert all(not port_of(ports_inputs.of_vts(chance)) for _ in range(3000))
