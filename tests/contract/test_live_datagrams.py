"""Outputs that send datagrams, at real sockets: what arrives, and what the status says of a peer that is not there."""
import json
import socket
import struct
import threading

import pytest
from fakes.records import blink, face, record
from patience import PATIENCE_S, wait_until
from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import BlockingOSCUDPServer

from edge.core.errors import OutputError
from edge.core.rules import Address
from edge.outputs.kinds import OutputOptions, make_output
from edge.outputs.live.udp import LARGEST, MOST_OF_ONE, UdpListener, UdpTarget
from edge.outputs.sender import Sender
from edge.outputs.spec import parse_output

OPTIONS = OutputOptions(landmarks=False, mirror=False, blocking=False, fps=lambda: 30.0)
ALL = ("vmc", "vrchat", "osc", "opentrack", "udp-json")


def opened(text, **changes):
    output = make_output(parse_output(text), OPTIONS._replace(**changes))
    output.open()
    return output


@pytest.fixture
def peer():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        found.settimeout(PATIENCE_S)
        yield found


@pytest.fixture
def osc():
    """python-osc's server: the messages that it dispatched, in order."""
    found, dispatcher = [], Dispatcher()
    dispatcher.set_default_handler(lambda address, *arguments: found.append((address, arguments)))
    server = BlockingOSCUDPServer(("127.0.0.1", 0), dispatcher)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server.server_address[1], found
    server.shutdown()
    thread.join(PATIENCE_S)
    server.server_close()


def port_of(sock):
    return sock.getsockname()[1]


def test_vmc_is_understood_by_a_server_of_another_hand(osc):
    port, found = osc
    output = opened("vmc://127.0.0.1:{}".format(port))
    output.emit(record(face(yaw=20.0, expression={"eyeBlinkLeft": 1.0}), events=[blink()]))
    wait_until(lambda: any(address == "/VMC/Ext/Blend/Apply" for address, _ in found), "Apply")
    output.close()
    values = {arguments[0]: arguments[1] for address, arguments in found if address == "/VMC/Ext/Blend/Val"}
    assert values["EyeBlinkLeft"] == values["Blink_L"] == values["blinkLeft"] == 1.0 and values["Blink_R"] == 0.0
    assert found[0] == ("/VMC/Ext/OK", (1, 3, 0, 1)) and found[-1][0] == "/VMC/Ext/Blend/Apply"
    assert [json.loads(arguments[0]) for address, arguments in found if address.startswith("/VMC/Thru")] == [blink()]


def test_a_lost_face_is_told_while_no_frame_comes_too(osc):
    port, found = osc
    output = opened("vmc://127.0.0.1:{}".format(port))
    output.emit(record(face()))
    output.emit(record())
    output.tick()
    wait_until(lambda: sum(address == "/VMC/Ext/Blend/Apply" for address, _ in found) == 3, "three frames")
    output.close()
    assert [arguments[3] for address, arguments in found if address == "/VMC/Ext/OK"] == [1, 0, 0]


def test_every_value_is_understood_by_a_server_of_another_hand(osc):
    port, found = osc
    output = opened("osc://127.0.0.1:{}".format(port))
    output.emit(record(face(4, pitch=15.0), events=[blink()]))
    wait_until(lambda: any(address == "/nanoface/event/blink" for address, _ in found), "the event")
    output.close()
    told = dict(found)
    assert told["/nanoface/face/1/id"] == (4,) and told["/nanoface/face/1/pose"] == (0.0, 15.0, 0.0)
    assert json.loads(told["/nanoface/event/blink"][4]) == blink()


def test_opentrack_freezes_while_the_face_is_lost(peer):
    output = opened("opentrack://127.0.0.1:{}?mirror=true".format(port_of(peer)))
    for found in (record(face(yaw=20.0)), record(), record(face(yaw=10.0))):
        output.emit(found)
    output.tick()
    output.close()
    assert [struct.unpack("<6d", peer.recv(100))[3] for _ in range(2)] == [pytest.approx(-20.0), pytest.approx(-10.0)]
    peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.recv(100)


def test_json_has_a_datagram_for_a_frame_and_one_for_an_event(peer):
    output = opened("udp-json://127.0.0.1:{}".format(port_of(peer)))
    output.emit(record(face(), frame=5, events=[blink()]))
    output.emit({"schema": 1, "events": [blink(2)]})  # at the end of a run
    output.close()
    first, second, third = (json.loads(peer.recv(65535)) for _ in range(3))
    assert first["frame"] == 5 and first["faces"][0]["id"] == 1 and "events" not in first
    assert second == blink() and third == blink(2)


@pytest.mark.parametrize("kind", ALL)
def test_a_peer_that_is_not_there_is_told_and_found_when_it_comes(kind):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = port_of(taken)
    sender = Sender(make_output(parse_output("{}://127.0.0.1:{}".format(kind, port)), OPTIONS), keep_trying=True)
    sender.start()
    try:
        def state():
            sender.put(record(face()))
            return sender.stats()["state"]

        wait_until(lambda: state() == "nothing listens at 127.0.0.1:{}".format(port), "that nobody is there")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
            late.bind(("127.0.0.1", port))
            late.settimeout(PATIENCE_S)
            wait_until(lambda: state() == "ok", "that it came")
            assert late.recv(65535)
    finally:
        assert sender.close(PATIENCE_S)
    assert sender.stats()["failed"] == 0


@pytest.mark.parametrize("kind", ALL)
def test_a_host_that_there_is_not_is_one_line(kind):
    with pytest.raises(OutputError, match="there is no host nobody.invalid") as caught:
        opened("{}://nobody.invalid:5".format(kind))
    assert "\n" not in str(caught.value)


def test_a_refusal_stays_known_between_datagrams(peer):
    port = port_of(peer)
    peer.close()
    target = UdpTarget("toy", parse_output("opentrack://127.0.0.1:{}".format(port)).address)
    target.open()
    wait_until(lambda: target.send(b"x") or target.refused, "a refusal")
    for _ in range(5):  # each second one is refused, and says so of the one before it
        target.send(b"x")
        assert target.refused
    target.close()
    target.close()
    with pytest.raises(OutputError, match="closed"):
        target.send(b"x")


def test_rate_thins_out_what_is_sent_and_keeps_the_events(peer):
    output = opened("udp-json://127.0.0.1:{}?rate=0.1".format(port_of(peer)))
    for n in range(5):
        output.emit(record(face(), frame=n, events=[blink(n)]))
    output.emit({"schema": 1, "events": []})
    output.close()
    found = [json.loads(peer.recv(65535)) for _ in range(6)]
    assert [line.get("frame") for line in found if "faces" in line] == [0]
    assert [line["id"] for line in found if "event" in line] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
def test_one_that_floods_does_not_hide_another_and_long_datagrams_are_cut(host):
    listener = UdpListener("x", Address("127.0.0.1", 0))
    listener.open()
    with bound("127.0.0.1") as flood, bound(host) as other:
        for number in range(MOST_OF_ONE + 20):
            flood.sendto(b"x" * (9000 if number == 0 else 2), ("127.0.0.1", listener.port))
        other.sendto(b"ask", ("127.0.0.1", listener.port))
        heard = list(listener.received())
        assert [data for data, place in heard if place == other.getsockname()] == [b"ask"]
        assert {data for data, place in heard if place == flood.getsockname()} == {b"x" * LARGEST, b"xx"}
        assert len(heard) == MOST_OF_ONE + 1 and listener.refused == 20
        flood.sendto(b"later", ("127.0.0.1", listener.port))
        assert [data for data, _ in listener.received()] == [b"later"]
    listener.close()


def bound(host):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host, 0))
    return made
