"""socket.io with other people's programs: servers and clients of both generations, in Python and on node."""
import contextlib
import signal

import pytest
from live_web import event, made, record
from patience import PATIENCE_S, wait_until
from peer_programs import node_peer, python_peer

from edge.core.errors import OutputError
from edge.outputs.sender import Sender

SERVERS = {"eio3": 3, "eio4": 4, "server2": 3, "server3": 4, "server4": 4}
BOTH = "polling,websocket"
CLIENTS = [("eio3", "polling"), ("eio3", "websocket"), ("eio3", BOTH), ("eio4", "polling"), ("eio4", "websocket"),
           ("eio4", BOTH), ("client2", "polling"), ("client2", "websocket"), ("client2", BOTH), ("client4", "polling"),
           ("client4", "websocket"), ("client4", BOTH)]


def server_peer(name):
    return node_peer("server.js", name) if name.startswith("server") else python_peer(name, "socketio_peer.py", "server")


def client_peer(name, url, transports):
    return (node_peer("client.js", name, url, transports) if name.startswith("client")
            else python_peer(name, "socketio_peer.py", "client", url, transports))


@pytest.fixture(scope="module", params=sorted(SERVERS))
def server(request):
    with server_peer(request.param) as peer:
        peer.generation, peer.port = SERVERS[request.param], peer.wait_for("port")
        yield peer


@contextlib.contextmanager
def opened(text, port=0):
    output = made(text, ("127.0.0.1", port))
    output.open()
    try:
        yield output
    finally:
        output.close()


def open_mouth(amount):
    """A face by whose mouth the frame is known again."""
    return record(expression={"mouth_open": amount, "eye_open_right": 0.2, "eye_open_left": 1.0},
                  gaze={"yaw": 20.0, "pitch": -10.0})


def test_a_server_of_either_generation_gets_frames_and_events(server):
    frames, events = len(server.got("result_data")), len(server.got("nanoface_event"))
    with opened("socketio://", server.port) as output:
        assert output._link.generation == server.generation and output.condition == ""
        output.emit(record(faces=0))
        output.emit(dict(open_mouth(0.35), events=[event(1)]))
        data = server.wait_for("result_data", frames + 1)
        assert data["euler"] == [0.0, 0.0, 0.0] and data["eye"] == [-0.3491, 0.1745] and data["mouth"] == 0.5
        assert data["blink"] == [0.3, 0.06] and data["shapes"]["jawOpen"] == 0.35
        assert server.wait_for("nanoface_event", events + 1) == event(1)
    assert len(server.got("result_data")) == frames + 1  # none of the frame without a face
    server.wait_for("left")


def test_a_page_of_theirs_gets_it_through_their_server(server):
    page = {3: "client2", 4: "client4"}[server.generation]
    with client_peer(page, "http://127.0.0.1:{}".format(server.port), BOTH) as client:
        client.wait_for("joined")
        with opened("socketio://", server.port) as output:
            output.emit(open_mouth(0.35))
            assert client.wait_for("result_download")["mouth"] == 0.5


def test_a_server_that_does_not_read_gets_the_newest_frame_when_it_does(server):
    with opened("socketio://", server.port) as output:
        before = len(server.got("result_data"))
        output.emit(open_mouth(0.0))
        server.wait_for("result_data", before + 1)
        server.pause(signal.SIGSTOP)
        try:
            def full():
                output.emit(open_mouth(0.5))
                return output.more_counts()["skipped"] > 3
            wait_until(full)
            output.emit(open_mouth(0.65))
        finally:
            server.pause(signal.SIGCONT)
        wait_until(lambda: server.got("result_data")[-1]["mouth"] == 0.65)
        assert not output._link.lost


def test_a_server_that_comes_and_goes_is_found_again():
    with node_peer("server.js", "server2") as first:
        port = first.wait_for("port")
        sender = Sender(made("socketio://", ("127.0.0.1", port)))
        sender.start()
        sender.put(open_mouth(0.1))
        first.wait_for("result_data")
    try:
        wait_until(lambda: "gone" in sender.stats()["state"] or "not reached" in sender.stats()["state"])
        with node_peer("server.js", "server4", str(port)) as second:
            def arrives():
                sender.put(open_mouth(0.35))
                return second.got("result_data")
            wait_until(arrives)
            assert sender.stats()["state"] == "ok"
    finally:
        assert sender.close(PATIENCE_S)


def test_a_server_of_something_else_is_told_in_one_line():
    with opened("ws://") as other:
        with pytest.raises(OutputError, match=r"output socketio:\S* 127.0.0.1:\d+ is no socket.io server: .* status 404"):
            made("socketio://", ("127.0.0.1", other.port)).open()
        port = other.port
    with pytest.raises(OutputError, match=r"127.0.0.1:\d+ is not reached: Connection refused|Connect call failed"):
        made("socketio://", ("127.0.0.1", port)).open()


@pytest.fixture(scope="module")
def pages():
    """Our server, and every client on it at once."""
    with opened("socketio-server://") as output, contextlib.ExitStack() as stack:
        peers, url = {}, "http://127.0.0.1:{}".format(output.port)
        for client in CLIENTS:
            with contextlib.suppress(pytest.skip.Exception):
                peers[client] = stack.enter_context(client_peer(client[0], url, client[1]))
        for peer in peers.values():
            peer.wait_for("joined")
        wait_until(lambda: output.condition.startswith(str(len(peers))))
        yield output, peers


@pytest.mark.parametrize("client", CLIENTS, ids="-".join)
def test_a_page_of_either_generation_over_any_transport_gets_frames_and_events(pages, client):
    output, peers = pages
    if client not in peers:
        pytest.skip("the peer {} is not there: make peers".format(client[0]))
    peer, before = peers[client], len(peers[client].got("nanoface_event"))
    if client[1] == BOTH and client[0].startswith("client"):
        assert peer.wait_for("joined") == "websocket" or peer.wait_for("upgrade") == "websocket"

    def arrives():
        output.emit(dict(open_mouth(0.35), events=[event(2)]))
        return peer.got("result_download") and len(peer.got("nanoface_event")) > before
    wait_until(arrives)
    assert peer.got("result_download")[-1]["mouth"] == 0.5 and peer.got("nanoface_event")[-1] == event(2)
    assert not peer.got("left") and not peer.got("refused")


def test_what_another_tracker_sends_goes_to_nobody(pages):
    output, peers = pages
    if ("client4", "websocket") not in peers:
        pytest.skip("the peer client4 is not there: make peers")
    before = output.more_counts()["unasked"]
    peers["client4", "websocket"].tell({"mouth": 77})
    wait_until(lambda: output.more_counts()["unasked"] == before + 1)
    output.emit(open_mouth(0.0))
    assert not any(data["mouth"] == 77 for peer in peers.values() for data in peer.got("result_download"))


def test_pages_that_go_are_receivers_no_more():
    with opened("socketio-server://") as output:
        with client_peer("client4", "http://127.0.0.1:{}".format(output.port), "polling") as peer:
            peer.wait_for("joined")
            wait_until(lambda: output.condition == "1 receiver")
        with client_peer("client2", "http://127.0.0.1:{}".format(output.port), "websocket") as peer:
            peer.wait_for("joined")
        wait_until(lambda: all(one.transport is None for one in output._receivers._all))
        assert len(output._receivers) <= 1  # who polled may come again for a while
