"""What a web server of ours answers to who asks wrongly: little, and nothing that was sent or that tells versions."""
import re

import pytest
from live_web import exchange, made, upgrade

MARK = b"zzmarkzz"
MOST = 420
REQUESTS = {
    "no HTTP": b"\0" + MARK * 90 + b"\r\n\r\n",
    "a bad head": b"GET / HTTP/1.1\r\nHost: localhost\r\n" + MARK + b"\r\n\r\n",
    "a long target": b"GET /" + MARK * 1500 + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "another host": b"GET / HTTP/1.1\r\nHost: " + MARK + b"\r\n\r\n",
    "another page": upgrade(Origin="http://" + MARK.decode()),
    "no WebSocket": b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                    b"Connection: close\r\nSec-WebSocket-Key: " + MARK + b"\r\n\r\n",
    "another method": MARK + b" / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "a bad length": b"POST /socket.io/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\nX: " + MARK + b"\r\n\r\n",
    "another session": b"GET /socket.io/?EIO=4&transport=polling&sid=" + MARK + b" HTTP/1.1\r\nHost: localhost\r\n"
                       b"Connection: close\r\n\r\n",
    "another name": upgrade(host="localhost:1" + MARK.decode()),
}


@pytest.fixture(scope="module", params=["ws", "socketio-server"])
def port(request):
    output = made(request.param + "://")
    output.open()
    yield output.port
    output.close()


@pytest.mark.parametrize("asked", sorted(REQUESTS))
def test_a_refusal_is_short_and_tells_nothing(port, asked):
    said = exchange(port, REQUESTS[asked], b"\n" * 9)
    assert re.match(rb"HTTP/1\.[01] 4\d\d ", said), said
    assert len(said) <= MOST and MARK not in said and not re.search(rb"(?i)aiohttp|python", said)
