"""One receiver for each kind of live output, all at once, each of another hand than the encoder: python-osc's server, python-
socketio, websockets, paho at mosquitto, a stand-in for VTube Studio, struct and json at plain sockets."""
import json
import socket
import struct
import threading
from collections import namedtuple

import pytest
from fakes.mosquitto import PROGRAM, Broker, Reader
from fakes.vtubestudio import VTubeStudio
from peer_programs import python_peer
from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import BlockingOSCUDPServer
from receiving import free

from edge.outputs.live.loop import Loop

ASK_PHONE = {"messageType": "iOSTrackingDataRequest", "time": 10.0, "sentBy": "the tests"}
Heard = namedtuple("Heard", "frames jaws events")  # a value that changes from frame to frame, jawOpen, event records
JAW = {"/VMC/Ext/Blend/Val": "JawOpen", "/jawOpen": None, "/nanoface/face/1/expression/jawOpen": None}
FRAME = ("/VMC/Ext/T", "/nanoface/face/1/pose", "/browInnerUp")


class Peer:
    """`heard` is what came so far; `address` what an --output gets."""

    has_shapes = has_events = True

    def __init__(self, address=""):
        self.address, self.heard = address, Heard([], [], [])

    def take_record(self, told):
        if "event" in told:
            self.heard.events.append(told)
        elif told.get("faces"):
            self.heard.frames.append((told["frame"], told["faces"][0]["pose"]["yaw"]))
            self.heard.jaws.append(told["faces"][0]["expression"]["jawOpen"])

    def look(self):
        """Called some times a second."""

    def close(self):
        """May be called once."""


class Osc(Peer):
    """python-osc's server."""

    def __init__(self, form, has_events):
        dispatcher = Dispatcher()
        dispatcher.set_default_handler(self._take)
        self._server = BlockingOSCUDPServer(("127.0.0.1", 0), dispatcher)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        super().__init__(form.format(self._server.server_address[1]))
        self.has_events = has_events
        self._thread.start()

    def _take(self, address, *arguments):
        if address in FRAME:
            self.heard.frames.append(arguments[0])
        if address in JAW and JAW[address] in (None, arguments[0]):
            self.heard.jaws.append(arguments[-1])
        if address == "/VMC/Thru/nanoface/event" or address.startswith("/nanoface/event/"):
            self.heard.events.append(json.loads(arguments[-1]))

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Datagrams(Peer):
    """A plain socket, and a decoder written from the format's description: calls take_*() of it."""

    has_shapes = has_events = False

    def __init__(self, form, **has):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        super().__init__(form.format(self._socket.getsockname()[1]))
        self.__dict__.update(has)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        take = getattr(self, "take_" + self.address.partition(":")[0].replace("-", "_"))
        while not self._over.is_set():
            try:
                take(self._socket.recv(1 << 16))
            except socket.timeout:
                pass
        self._socket.close()

    def take_opentrack(self, data):
        self.heard.frames.append(struct.unpack("<6d", data)[3])

    def take_openseeface(self, data):
        values = struct.unpack("<di4fBf4f3f3f68f136f210f14f", data)
        assert values[2:4] == (640.0, 480.0) and values[6] == 1
        self.heard.frames.append(values[13])

    def take_udp_json(self, data):
        self.take_record(json.loads(data.decode("utf-8")))

    def take_ifacialmocap(self, data):
        shapes, bones = data.decode("ascii").split("=")
        self.heard.frames.append(float(bones.partition("#")[2].split(",")[1]))
        self.heard.jaws.append(int(dict(word.split("-") for word in shapes.strip("|").split("|"))["jawOpen"]) / 100.0)

    def take_vts_phone(self, data):
        told = json.loads(data.decode("utf-8"))
        if told["FaceFound"]:
            self.heard.frames.append(told["Rotation"]["x"])
        self.heard.jaws.append({row["k"]: row["v"] for row in told["BlendShapes"]}["JawOpen"])

    def close(self):
        self._over.set()
        self._thread.join()


class Phone(Datagrams):
    """Asks for it again and again."""

    def __init__(self):
        super().__init__("vts-phone:{}", has_shapes=True)
        self._ask = json.dumps(dict(ASK_PHONE, ports=[self._socket.getsockname()[1]])).encode("ascii")
        self._port = free(socket.SOCK_DGRAM)
        self.address = "vts-phone://127.0.0.1:{}".format(self._port)

    def look(self):
        self._socket.sendto(self._ask, ("127.0.0.1", self._port))


class WebSocket(Peer):
    """The package websockets; comes when there is a server, and stays."""

    def __init__(self):
        self._port, self._loop = free(socket.SOCK_STREAM), Loop("websockets").start()
        super().__init__("ws://127.0.0.1:{}".format(self._port))
        self._loop.spawn(self._listen())

    async def _listen(self):
        import asyncio

        import websockets

        while True:
            try:
                async with websockets.connect("ws://127.0.0.1:{}".format(self._port)) as connection:
                    async for text in connection:
                        self.take_record(json.loads(text))
                    return
            except OSError:
                await asyncio.sleep(0.1)

    def close(self):
        self._loop.close(5.0)


class SocketIo(Peer):
    """python-socketio of Engine.IO 3, DLVYF's generation, as the server, and of 4 as a page at ours."""

    def __init__(self, page):
        if page:
            port = free(socket.SOCK_STREAM)
            super().__init__("socketio-server://127.0.0.1:{}".format(port))
            self._start = lambda: python_peer("eio4", "socketio_peer.py", "client", "http://127.0.0.1:{}".format(port),
                                              "websocket")
            self._start().close()  # skips where it is not there
            self._peer, self._what = None, "result_download"
        else:
            self._peer, self._what = python_peer("eio3", "socketio_peer.py", "server"), "result_data"
            super().__init__("socketio://127.0.0.1:{}".format(self._peer.wait_for("port")))

    def look(self):
        if self._peer is None or self._peer.got("refused"):  # our server does not listen yet
            self.close()
            self._peer = self._start()
        told = self._peer.got(self._what)
        self.heard.frames[:] = [data["euler"][1] for data in told]
        self.heard.jaws[:] = [data["shapes"]["jawOpen"] for data in told]
        self.heard.events[:] = self._peer.got("nanoface_event")

    def close(self):
        if self._peer is not None:
            self._peer.close()


class Studio(Peer):
    """Its user clicks Allow. It has inputs in the place of events: an event is looked for as the change of one."""

    has_events = False

    def __init__(self):
        self.studio = VTubeStudio()
        self.studio.__enter__()
        super().__init__("vts://127.0.0.1:{}".format(self.studio.port))

    def look(self):
        told = list(self.studio.injected)
        rows = [{row["id"]: row["value"] for row in data["parameterValues"]} for data in told]
        self.heard.frames[:] = [row["FaceAngleX"] for row, data in zip(rows, told) if data["faceFound"]]
        self.heard.jaws[:] = [row["NanofaceJawOpen"] for row in rows if "NanofaceJawOpen" in row]

    def close(self):
        self.studio.__exit__(None, None, None)


class Mqtt(Peer):
    """mosquitto, and paho as its reader."""

    def __init__(self, folder):
        if PROGRAM is None:
            pytest.skip("mosquitto is not installed")
        self._broker = Broker(folder)
        self._broker.start()
        self.reader = Reader(self._broker.port)
        super().__init__("mqtt://127.0.0.1:{}/room?id=whole&shapes=true&every=0.2".format(self._broker.port))

    def look(self):
        for name, kept in (("state", self.heard.frames), ("shapes", self.heard.jaws)):
            told = [json.loads(payload.decode("utf-8")) for payload in self.reader.of("room/" + name)]
            kept[:] = [one["yaw" if name == "state" else "jawOpen"] for one in told]
        start = "room/event/"
        self.heard.events[:] = [dict(json.loads(one.payload.decode("utf-8")), event=one.topic[len(start):])
                                for one in list(self.reader.got) if one.topic.startswith(start)]

    def close(self):
        self.reader.__exit__()
        self._broker.stop()


def make_peers(folder, stack):
    """Kind -> its peer, or why there is none. `stack` closes them."""
    makers = {
        "vmc": lambda: Osc("vmc://127.0.0.1:{}", True), "osc": lambda: Osc("osc://127.0.0.1:{}", True),
        "vrchat": lambda: Osc("vrchat://127.0.0.1:{}", False), "openseeface": lambda: Datagrams("openseeface://127.0.0.1:{}"),
        "opentrack": lambda: Datagrams("opentrack://127.0.0.1:{}"), "vts": Studio, "vts-phone": Phone,
        "udp-json": lambda: Datagrams("udp-json://127.0.0.1:{}", has_shapes=True, has_events=True),
        "ifacialmocap": lambda: Datagrams("ifacialmocap://127.0.0.1:{}", has_shapes=True), "ws": WebSocket,
        "socketio": lambda: SocketIo(False), "socketio-server": lambda: SocketIo(True), "mqtt": lambda: Mqtt(folder)}
    found = {}
    for kind, make in makers.items():
        try:
            found[kind] = make()
            stack.callback(found[kind].close)
        except pytest.skip.Exception as e:
            found[kind] = str(e)
    return found
