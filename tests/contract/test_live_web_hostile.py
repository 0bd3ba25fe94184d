"""Hostile peers of the outputs that are web servers: whatever they do is bounded and counted, and who listens loses nothing.

A slice of some thousands each; `ROUNDS=1000 pytest ...` makes it a million.
"""
import itertools
import json
import os
import random
import socket
import struct
import threading
import zlib

import pytest
from live_web import exchange, made, record, upgrade
from patience import PATIENCE_S, wait_until

from edge.outputs.live.loop import Loop
from edge.outputs.live.socketio.payload import LIPS
from edge.outputs.live.web.server import MOST_CONNECTIONS

ROUNDS = int(os.environ.get("ROUNDS", "1"))
MOST_GROWTH = 64 << 20  # bytes of memory, of the peers in this process too
EIO = "/socket.io/?EIO={}&transport={}"
SERVERS = {"ws://": "/", "socketio-server://": EIO.format(4, "websocket")}


def masked(data, first=0x81, claimed=None):
    """A frame of a client."""
    size = len(data) if claimed is None else claimed
    head = struct.pack("!BB", first, 0x80 | size) if size < 126 else (
        struct.pack("!BBH", first, 0xFE, size) if size < 65536 else struct.pack("!BBQ", first, 0xFF, size))
    return head + b"\0\0\0\0" + data


DICE = random.Random(1)


def random_bytes(size):
    return bytes(DICE.getrandbits(8) for _ in range(size))


def chunked(path, data, *headers):
    lines = ["POST {} HTTP/1.1".format(path), "Host: localhost", "Transfer-Encoding: chunked"] + list(headers)
    body = "{:x}\r\n".format(len(data)).encode() + data + b"\r\n"
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def attacks(path):
    """name -> (how often, what each connection says, whether it goes on to hold the connection open)"""
    begin = upgrade(path=path)
    polling, bomb = EIO.format(4, "polling"), zlib.compress(b"x" * (8 << 20))
    request = "GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n".format(polling).encode()
    return {
        "connects and goes": (300, b"", False),
        "garbage": (100, None, False),
        "half open": (150, b"", True),
        "half a head": (150, b"GET / HTTP/1.1\r\nHost: loc", True),
        "an endless head": (4, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200000, False),
        "an endless line": (4, b"GET /" + b"x" * 1000000, False),
        "many requests at once": (4, request * 5000, False),
        "sessions": (100, request, True),
        "a stranger's page": (50, upgrade(path=path, Origin="https://evil.example"), False),
        "a stranger's name": (50, upgrade("evil.example", path), False),
        "wrong upgrades": (50, begin.replace(b"Version: 13", b"Version: 1"), False),
        "more clients than there may be, who read nothing": (50, begin, True),
        "a huge frame": (20, begin + masked(b"x" * 1000000), False),
        "a frame that claims to be huge": (50, begin + masked(b"x" * 1000, claimed=1 << 62), True),
        "a frame without end": (10, begin + masked(b"x" * 1000, 0x01) + masked(b"x" * 1000, 0x00) * 1000, False),
        "packed and wrong frames": (50, begin + masked(zlib.compress(b"x" * 4000), 0xC1) + b"\x81\x05hello\x8f\xff", False),
        "a flood of messages": (10, begin + masked(b"x") * 20000, False),
        "a flood of packets": (10, begin + (masked(b"40/kizuna,") + masked(b'42/kizuna,["result_data",0]')) * 5000, False),
        "a flood of pings": (10, begin + masked(b"x" * 100, 0x89) * 20000, False),
        "a flood of pings of Engine.IO": (10, begin + masked(b"2") * 20000, False),
        "a packed body": (20, chunked(polling + "&sid=x", bomb, "Content-Encoding: deflate"), True),
        "a body without end": (20, chunked(polling + "&sid=x", b"x" * 100000) * 5, True),
    }


def assault(port, count, said, hold):
    held = []
    for _ in range(count):
        try:
            peer = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        except OSError:
            continue
        try:
            peer.settimeout(0.2)
            peer.sendall(random_bytes(200) if said is None else said)
        except OSError:
            pass
        held.append(peer)
        if not hold:
            held.pop().close()
    return held


def memory():
    with open("/proc/self/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Listener:
    """A good client, with somebody else's library."""

    def __init__(self, port, path):
        self.got, self._loop = [], Loop("listener").start()
        self._loop.spawn(self._listen("ws://127.0.0.1:{}{}".format(port, path)))

    async def _listen(self, url):
        import websockets

        async with websockets.connect(url, ping_interval=None) as connection:
            if "socket.io" in url:
                await connection.send("40/kizuna,")
            async for text in connection:
                if text == "2":
                    await connection.send("3")
                self.got.append(text)

    def close(self):
        assert self._loop.close(PATIENCE_S)


@pytest.fixture(scope="module", params=sorted(SERVERS))
def attacked(request):
    output = made(request.param)
    output.open()
    listener = Listener(output.port, SERVERS[request.param])
    wait_until(lambda: output.condition == "1 receiver")
    yield output, listener, SERVERS[request.param], itertools.count(1)
    listener.close()
    output.close()
    assert output._server.loop.faults == 0


@pytest.mark.parametrize("name", sorted(attacks("/")))
def test_whatever_a_peer_does_the_others_get_their_records(attacked, name):
    output, listener, path, numbers = attacked
    count, said, hold = attacks(path)[name]
    before, held = memory(), []
    attacker = threading.Thread(target=lambda: held.extend(assault(output.port, count * ROUNDS, said, hold)))
    attacker.start()
    while attacker.is_alive() or not told(output, listener, next(numbers)):
        assert told(output, listener, next(numbers))
        assert len(output._server._connections) <= MOST_CONNECTIONS
    for peer in held:
        peer.close()
    wait_until(lambda: output.condition == "1 receiver", "only the good client is left")
    assert memory() - before < MOST_GROWTH


def told(output, listener, number):
    """Whether a frame of that number reaches the good client."""
    mark = ('"mouth_open":{}'.format(number) if output.name == "ws://" else
            '"mouth":{}'.format(round(number / (number + LIPS), 4)))
    begun = len(listener.got)
    output.emit(record(expression={"mouth_open": number}))

    def arrived():
        output.tick()
        return any(mark in text for text in listener.got[begun:])
    return wait_until(arrived)


def test_what_was_refused_was_counted(attacked):
    output, listener, path, _ = attacked
    before = output.more_counts()["refused"]
    for _ in range(5):
        assert exchange(output.port, upgrade("evil.example", path)).startswith(b"HTTP/1.1 403")
    assert output.more_counts()["refused"] >= before + 5
    assert set(output.more_counts()) == {"refused", "unasked", "skipped", "cut_off"} and json.dumps(output.more_counts())
