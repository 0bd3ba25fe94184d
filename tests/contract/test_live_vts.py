"""Against a stand-in for VTube Studio, over a real WebSocket."""
import os
import socket
import threading
import time

import pytest

from edge.core.errors import OutputError
from edge.outputs.kinds import OutputOptions
from edge.outputs.live.signals import at_rest
from edge.outputs.live.vts.output import VtubeStudio
from edge.outputs.spec import parse_output
from tests.fakes.vtubestudio import ITS_INPUTS, VTubeStudio
from tests.patience import stretch, wait_until

REST = at_rest()


@pytest.fixture(autouse=True)
def short_pauses(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOFACE_TOKENS", str(tmp_path / "tokens"))
    monkeypatch.setattr("edge.outputs.live.vts.connection.FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr("edge.outputs.live.vts.connection.LONGEST_PAUSE_S", 0.1)


class Running:
    """An output that is driven as by its sender."""

    def __init__(self, address):
        self.output = VtubeStudio(parse_output(address), OutputOptions(False, False, False, lambda: None))
        self.face = REST._replace(tracked=True, face=1)

    def __enter__(self):
        self.output.open()
        self.going = True
        self.thread = threading.Thread(target=self._drive)
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.going = False
        self.thread.join()
        self.output.close()
        self.output.close()

    def _drive(self):
        while self.going:
            self.output.show(self.face, time.monotonic())
            time.sleep(0.005)

    def until(self, condition, what=""):
        wait_until(condition, "{} ({})".format(what, self.output.condition))

    def told(self, text):
        wait_until(lambda: text in self.output.condition, "the condition {!r}, it is {!r}".format(text, self.output.condition))


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def address_of(studio):
    return "vts://127.0.0.1:{}".format(studio.port)


def test_its_own_inputs_and_ours_reach_it_and_the_next_run_asks_nobody(tmp_path):
    with VTubeStudio() as studio:
        with Running(address_of(studio)) as run:
            run.face = run.face._replace(shapes=dict(REST.shapes, jawOpen=0.5), eye_open={"left": 0.25, "right": 1.0},
                                         events=({"event": "yawn", "phase": "start", "face": 1},))
            run.until(lambda: studio.values.get("NanofaceJawOpen") == 0.5 and studio.values.get("NanofaceYawn") == 1.0)
            assert set(studio.values) >= set(ITS_INPUTS[:20]) and studio.values["EyeOpenLeft"] == 0.25
            run.until(lambda: len(studio.added) == 59 and run.output.condition == "")
            assert studio.injected[-1]["faceFound"] is True
            run.face = run.face._replace(tracked=False)
            run.until(lambda: studio.injected[-1]["faceFound"] is False)
            assert run.output.more_counts()["injected"] > 0
        with Running(address_of(studio)) as run:
            run.until(lambda: studio.connections == 2 and run.output.more_counts()["injected"] > 0)
        assert len(studio.asked("AuthenticationTokenRequest")) == 1
    name, = os.listdir(str(tmp_path / "tokens"))
    assert name == "vts-127.0.0.1" and os.stat(str(tmp_path / "tokens" / name)).st_mode & 0o077 == 0


def test_without_own_inputs_none_is_added():
    with VTubeStudio() as studio, Running(address_of(studio) + "?own=false") as run:
        run.until(lambda: len(studio.injected) > 3)
        assert not studio.added and set(studio.values) <= set(ITS_INPUTS)


def test_it_waits_for_a_click_and_says_so():
    with VTubeStudio(click="later") as studio, Running(address_of(studio)) as run:
        run.told("click Allow in VTube Studio")
        studio.click = "allow"
        run.until(lambda: studio.injected)
        assert run.output.condition == ""


def test_a_denial_is_told_and_not_asked_again():
    with VTubeStudio(click="deny") as studio, Running(address_of(studio)) as run:
        run.told("permission was denied")
        studio.drop()
        run.until(lambda: len(studio.asked("APIStateRequest")) == 2)
        run.told("permission was denied")
        assert len(studio.asked("AuthenticationTokenRequest")) == 1 and not studio.injected


def test_a_permission_that_is_taken_back_is_not_asked_for_at_once():
    with VTubeStudio() as studio, Running(address_of(studio)) as run:
        run.until(lambda: studio.injected)
        studio.revoke()
        run.told("taken back")
        assert len(studio.asked("AuthenticationTokenRequest")) == 1


@pytest.mark.parametrize("names_it", [True, False])
def test_an_input_that_it_does_not_know_fails_nothing_else(names_it):
    with VTubeStudio(unknown=["MouthX", "NanofaceJawOpen"], names_it=names_it) as studio, Running(address_of(studio)) as run:
        run.until(lambda: "FaceAngleX" in studio.values and "NanofaceMouthClose" in studio.values)
        assert "MouthX" not in studio.values and run.output.condition == "without the input NanofaceJawOpen: error 352 no"


@pytest.mark.parametrize("names_it, text", [(True, "another plugin drives FaceAngleX"), (False, "another plugin drives")])
def test_an_input_that_another_plugin_has_is_told(names_it, text):
    with VTubeStudio(taken=["FaceAngleX"], names_it=names_it) as studio, Running(address_of(studio)) as run:
        run.told(text)
        run.until(lambda: "EyeOpenLeft" in studio.values or "NanofaceJawOpen" in studio.values)
        assert "FaceAngleX" not in studio.values


def test_a_slow_studio_makes_no_queue():
    with VTubeStudio(delay_s=0.05) as studio, Running(address_of(studio) + "?own=false") as run:
        run.until(lambda: len(studio.injected) > 10)
        assert studio.most_unanswered <= 3


def test_an_interface_that_is_off_and_one_that_comes_later():
    with VTubeStudio(active=False) as studio, Running(address_of(studio)) as run:
        run.told("interface is off: switch on Start API")
        port = studio.port
    with Running("vts://127.0.0.1:{}".format(port)) as run:
        run.told("waits for VTube Studio at 127.0.0.1:{} (Connection refused): start it".format(port))
        with VTubeStudio(port=port) as studio:
            run.until(lambda: studio.injected)
            studio.drop()
            run.until(lambda: studio.connections > 1 and run.output.condition == "")
            assert len(studio.asked("AuthenticationTokenRequest")) == 1


@pytest.mark.parametrize("address, told", [("vts://0.0.0.0", "waits for VTube Studio in this network"),
                                           ("vts://:{}", "or to tell of itself")])
def test_a_studio_that_tells_of_itself_is_found(monkeypatch, address, told):
    monkeypatch.setattr(VtubeStudio, "tells_at", free_port(socket.SOCK_DGRAM))
    port = VtubeStudio.tells_at
    with VTubeStudio() as studio, Running(address.format(free_port(socket.SOCK_STREAM))) as run:
        run.told(told)

        def heard():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.sendto(b"\xff" * 3000, ("127.0.0.1", port))
            studio.broadcast(port)
            time.sleep(0.02)
            return studio.injected
        run.until(heard)
        assert run.output.condition == "" and studio.connections == 1


def test_without_a_host_the_studio_of_this_machine_is_found_unasked(monkeypatch):
    """Also where another program has the port at which it would tell of itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(VtubeStudio, "tells_at", taken.getsockname()[1])
        with VTubeStudio() as studio, Running("vts://:{}".format(studio.port)) as run:
            run.until(lambda: studio.injected)
            assert run.output.condition == "" and studio.connections == 1


def test_a_lacking_package_and_a_connection_that_ended_are_failures(monkeypatch):
    output = VtubeStudio(parse_output("vts://127.0.0.1:9"), OutputOptions(False, False, False, lambda: None))
    with monkeypatch.context() as patch:
        patch.setattr("edge.outputs.live.vts.output.absent", list)
        with pytest.raises(OutputError, match="the package aiohttp is not installed: .*pip install"):
            output.open()

    async def ends():
        raise KeyError("x")
    monkeypatch.setattr(output._connection, "run", ends)
    output.open()
    wait_until(lambda: output._begun.get("task") is not None and output._begun["task"].done())
    with pytest.raises(OutputError, match="KeyError"):
        output.show(REST, 0.0)
    output.close()


class Hostile:
    """A server that answers a handshake with whatever it is told, on bare sockets."""

    def __init__(self, answer):
        self._answer, self._server = answer, socket.socket()
        self._server.bind(("127.0.0.1", 0))
        self._server.listen(5)
        self.port, self.connections = self._server.getsockname()[1], 0

    def __enter__(self):
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(30.0)

    def _serve(self):
        while True:
            try:
                link, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            with link:
                try:
                    link.recv(4096)
                    link.sendall(self._answer.replace(b"PORT", str(self.port).encode()))
                    link.settimeout(5.0)
                    while link.recv(4096):
                        pass
                except OSError:
                    pass


@pytest.mark.parametrize("answer, text", [
    (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:PORT/again\r\nContent-Length: 0\r\n\r\n", "leads elsewhere"),
    (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "is not VTube Studio (404)"),
    (b"SSH-2.0-OpenSSH_8\r\n", "waits for VTube Studio at"),
    (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
     b"Sec-WebSocket-Accept: wrong\r\n\r\n", "is not VTube Studio"),
    (b"", None),
])
def test_what_is_no_websocket_is_told_in_one_line(answer, text):
    with Hostile(answer) as server, Running("vts://127.0.0.1:{}".format(server.port)) as run:
        if text is None:
            began = time.monotonic()
            run.until(lambda: server.connections == 1)
            run.output.close()
            assert time.monotonic() - began < 3.0 * stretch()
            return
        run.told(text)
        assert "\n" not in run.output.condition and len(run.output.condition) < 250
        run.until(lambda: server.connections > 2)
        assert not os.path.exists(os.environ["NANOFACE_TOKENS"])


@pytest.mark.parametrize("raw, text", [
    (["x" * 600000], "the connection broke"), ([b"\0\1"], "is not VTube Studio"), (["{}"] * 200, "is not VTube Studio"),
    (['{"messageType":"APIStateResponse","requestID":"nanoface1","data":{"active":[]}}'], "interface is off"),
    (["[" * 500000], "VTube Studio"),
], ids=["huge", "binary", "flood", "wrong type", "deep"])
def test_a_hostile_studio_is_bounded_and_one_line(raw, text):
    with VTubeStudio() as studio:
        studio.raw = raw
        with Running(address_of(studio)) as run:
            run.told(text)
            assert "\n" not in run.output.condition and len(run.output.condition) < 250
            studio.raw = None
            studio.drop()
            run.until(lambda: studio.injected, "it comes back")


def test_its_pings_are_answered_and_a_flood_of_them_ends_the_connection():
    with VTubeStudio() as studio, Running(address_of(studio)) as run:
        run.until(lambda: studio.injected)
        assert studio.pinged(1) == 1 and run.output.condition == ""
        assert studio.pinged(20000) < 20000
        run.told("it sends too much")


def test_nobody_answers_and_close_takes_no_longer_than_it_may():
    with VTubeStudio(delay_s=60.0) as studio, Running(address_of(studio)) as run:
        run.until(lambda: studio.requests)
        began = time.monotonic()
        run.output.close()
        assert time.monotonic() - began < 2.0 * stretch()
