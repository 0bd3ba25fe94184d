"""The peers of eight live outputs, each with a thread: some receive, one is dead, one deaf, one comes and goes, one floods."""
import base64
import json
import os
import random
import socket
import struct
import threading
import time

COUNTS, DEAD, DEAF, COMES, FLOODS = "receives", "is dead", "stops reading", "comes and goes", "floods us"
HANDSHAKE = b"iFacialMocap_sahuasouryya9218sauhuiayeta91555dy3719"
UPGRADE = ("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n")
FLOOD_EVERY_S, FLOOD_OF = 0.01, 100  # datagrams: ten thousand a second
ROUND_S = 3.0  # that who comes and goes stays, and stays away


class Peer:
    """Runs in a thread of its own until close()."""

    role = COUNTS

    def __init__(self, address):
        self.address = address
        self.count, self.longest_gap_s, self._last = 0, 0.0, None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="peer " + address, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._over.wait(0.05):
            pass

    def got(self, data):
        now = time.monotonic()
        if self._last is not None:
            self.longest_gap_s = max(self.longest_gap_s, now - self._last)
        self._last, self.count = now, self.count + 1

    def missing(self, sent):
        """How many frames of those that were sent did not arrive, where the format tells."""
        return 0

    def close(self):
        self._over.set()
        self._thread.join()


class Datagrams(Peer):
    """Counts what comes to a port."""

    def __init__(self, form):
        self._socket = bound(socket.SOCK_DGRAM)
        self._socket.settimeout(0.1)
        super().__init__(form.format(self._socket.getsockname()[1]))

    def _run(self):
        while not self._over.is_set():
            try:
                self.got(self._socket.recv(1 << 16))
            except socket.timeout:
                pass
        self._socket.close()


class Records(Datagrams):
    """udp-json: looks at the numbers of the frames."""

    def __init__(self):
        self._frames = []
        super().__init__("udp-json://127.0.0.1:{}")

    def got(self, data):
        frame = json.loads(data.decode("utf-8")).get("frame")
        if frame is not None:
            self._frames.append(frame)
            super().got(data)

    def missing(self, sent):
        return max(0, sent - len(set(self._frames)) - 1)  # the last may be of events alone


class Dead(Peer):
    """Nobody listens at its port."""

    role = DEAD

    def __init__(self):
        super().__init__("opentrack://127.0.0.1:{}".format(free(socket.SOCK_DGRAM)))


class Deaf(Peer):
    """A WebSocket client that shakes hands and then reads nothing; beside it one that reads."""

    role = DEAF

    def __init__(self):
        self._port = free(socket.SOCK_STREAM)
        super().__init__("ws://127.0.0.1:{}".format(self._port))

    def _run(self):
        deaf, reads = None, None
        while not self._over.is_set():
            try:
                deaf = deaf or upgraded(self._port, "/", 4096)
                reads = reads or upgraded(self._port, "/", 1 << 18)
                if reads is not None and reads.recv(1 << 16):
                    self.count += 1
                else:
                    reads = None
            except socket.timeout:
                pass
            except OSError:
                deaf = reads = None
            if reads is None:
                self._over.wait(0.2)
        for client in filter(None, (deaf, reads)):
            client.close()


class ComesAndGoes(Peer):
    """A page of the socket.io server that is closed and opened again, without a word."""

    role = COMES

    def __init__(self):
        self._port = free(socket.SOCK_STREAM)
        super().__init__("socketio-server://127.0.0.1:{}".format(self._port))

    def _run(self):
        while not self._over.is_set():
            try:
                page = upgraded(self._port, "/socket.io/?EIO=4&transport=websocket", 1 << 16)
                page.sendall(masked(b"40/kizuna,"))  # joins where OpenVtuber's pages are
                until = time.monotonic() + ROUND_S
                while time.monotonic() < until and not self._over.is_set():
                    try:
                        if not page.recv(1 << 16):
                            break
                        self.count += 1
                    except socket.timeout:
                        pass
                page.close()
            except (OSError, AttributeError):
                pass
            self._over.wait(ROUND_S)


class Floods(Peer):
    """Garbage at the port of an output that listens, beside one that asks as it is to."""

    role = FLOODS

    def __init__(self):
        self._port, self._receiver = free(socket.SOCK_DGRAM), bound(socket.SOCK_DGRAM)
        super().__init__("ifacialmocap://:{}?port={}".format(self._port, self._receiver.getsockname()[1]))

    def _run(self):
        dice, place = random.Random(5), ("127.0.0.1", self._port)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hostile, self._receiver as receiver:
            receiver.setblocking(False)
            asked_at = 0.0
            while not self._over.wait(FLOOD_EVERY_S):
                try:
                    for _ in range(FLOOD_OF):
                        hostile.sendto(os.urandom(dice.randint(0, 200)), place)
                    if time.monotonic() - asked_at > 1.0:
                        asked_at = time.monotonic()
                        receiver.sendto(HANDSHAKE, place)
                    while receiver.recv(1 << 16):
                        self.count += 1
                except OSError:
                    pass


class Peers:
    """All eight."""

    def __init__(self):
        self.all = [Records(), Datagrams("vmc://127.0.0.1:{}"), Datagrams("osc://127.0.0.1:{}"),
                    Datagrams("openseeface://127.0.0.1:{}"), Dead(), Deaf(), ComesAndGoes(), Floods()]

    def close(self):
        for peer in self.all:
            peer.close()


def bound(kind):
    made = socket.socket(socket.AF_INET, kind)
    made.bind(("127.0.0.1", 0))
    return made


def free(kind):
    """A port of this machine that nobody has."""
    with bound(kind) as made:
        return made.getsockname()[1]


def upgraded(port, path, buffer):
    """A WebSocket that was opened; None where the server does not want it."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.settimeout(1.0)
    try:
        client.connect(("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode("ascii")
        client.sendall(UPGRADE.format(path=path, port=port, key=key).encode("ascii"))
        if b" 101 " in client.recv(4096).split(b"\r\n")[0]:
            return client
    except OSError:
        client.close()
        raise
    client.close()
    return None


def masked(text):
    """A text frame of a client, shorter than 126 bytes."""
    key = os.urandom(4)
    return struct.pack("!BB", 0x81, 0x80 | len(text)) + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(text))
