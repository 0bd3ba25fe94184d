"""The window: what it shows, how it asks the run to stop, and what happens where there is none or it goes away.

SDL draws into nothing here (SDL_VIDEODRIVER=dummy), or into Xvfb where that is installed.
"""
import os
import signal
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
from patience import PATIENCE_S
from virtual_display import VirtualDisplay, wait_until

from edge.app.ends import NOTHING, live_picture
from edge.config.load import load_config
from edge.core.errors import OutputError
from edge.core.packet import Frame, Packet
from edge.outputs.kinds import OutputOptions, make_output
from edge.outputs.pictures import viewer, window
from edge.outputs.pictures.overlay import Overlay, Style
from edge.outputs.pictures.window import DisplayState, WindowOutput, opens_by_itself
from edge.outputs.sender import Sender
from edge.outputs.spec import parse_output

PYGAME = pytest.mark.skipif(find_spec("pygame") is None, reason="needs pygame")
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only X and Wayland can be switched off")
ACTING = """import sys; sys.path[0] = {{!r}}
from edge.outputs.pictures import viewer
class Acting(viewer.Window):
    def show(self, picture):
        super().show(picture)
        pygame = self._pygame
        {}
viewer.Window = Acting
viewer.main()"""


def packet(size=(64, 48), colour=(0, 0, 0)):
    return Packet(Frame(0, 1.0, 0.0, np.full((size[1], size[0], 3), colour, np.uint8)))


@pytest.fixture
def opened(monkeypatch):
    """Makes and opens a window in the dummy driver; closes it."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    for name in ("START_S", "STUCK_S"):  # on a busy machine a process may be that slow
        monkeypatch.setattr(window, name, PATIENCE_S)
    outputs = []

    def make(**more):
        output = WindowOutput(parse_output("window"), Overlay(Style(stage_times=False)), lambda: "portrait", **more)
        outputs.append(output)
        output.open()
        return output
    yield make
    for output in outputs:
        output.close()


@pytest.fixture
def screen(tmp_path, monkeypatch):
    display = VirtualDisplay(tmp_path)
    monkeypatch.setenv("DISPLAY", display.name)
    monkeypatch.delenv("SDL_VIDEODRIVER")
    yield display
    display.close()


def show(output, *args):
    output.emit(packet(*args))
    return True


@PYGAME
@pytest.mark.parametrize("sizes", [
    [(640, 480)] * 5, [(96, 96)], [(641, 359), (1, 700), (700, 1)], [(3840, 2160)], [(640, 480), (480, 640), (320, 240)],
], ids=str)
def test_pictures_of_every_size_are_shown(opened, sizes):
    output = opened()
    for size in sizes:
        output.emit(packet(size))
    assert not output.closed
    output.close()
    output.close()
    assert output._process.returncode in (0, -9) and not output.closed  # killed where the machine is busy


@PYGAME
@pytest.mark.parametrize("event, ends", [
    ("KEYDOWN, key=pygame.K_q", True), ("KEYDOWN, key=pygame.K_ESCAPE", True), ("QUIT", True),
    ("KEYDOWN, key=pygame.K_x", False), ("VIDEORESIZE, size=(99, 77), w=99, h=77", False), ("VIDEOEXPOSE", False),
])
def test_q_escape_and_the_mouse_ask_the_run_to_stop_though_no_more_frames_come(opened, monkeypatch, event, ends):
    posted = "pygame.event.post(pygame.event.Event(pygame.{}))".format(event)
    monkeypatch.setattr(window, "START", ACTING.format(posted))
    output = opened()
    output.emit(packet())
    if ends:
        wait_until(lambda: output.closed, "not closed")
        output.emit(packet())  # a window that was closed is not opened again, and no failure
    else:
        output.emit(packet())
    output.close()
    assert output.closed == ends


@pytest.mark.skipif(os.name != "posix", reason="needs a pipe that is closed before its process ends")
def test_a_window_that_is_just_being_closed_has_not_failed(opened, monkeypatch):
    monkeypatch.setattr(window.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(window, "START",
                        "import os, time; os.write(1, b'ready\\n'); os.close(0); time.sleep(0.5); os._exit(10)")
    output = opened()
    wait_until(lambda: show(output) and output.closed, "not closed")
    assert not output.over


def test_the_title_is_plain_and_short_and_no_password_goes_along(opened, monkeypatch):
    monkeypatch.setenv("NANOFACE_SOURCE", "rtsp://me:hunter22@there/x")
    monkeypatch.setattr(window.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(window, "START", "import json, os, sys; os.write(1, (json.loads(sys.argv[1]) + "
                                         "str(os.environ.get('NANOFACE_SOURCE'))).encode('utf-8'))")
    output = WindowOutput(parse_output("window"), Overlay(), lambda: "a\033]0;b\udc80\u00e9" + 300 * "c")
    with pytest.raises(OutputError) as caught:
        output.open()
    assert "(nanoface: a\\u001b]0;b\\udc80\u00e9ccc" in str(caught.value) and "cNone)" in str(caught.value)
    assert str(caught.value).count("c") < 130


@LINUX
@pytest.mark.parametrize("variables, words", [
    ({}, "DISPLAY is not set"),
    ({"DISPLAY": ":987"}, "x11 not available"),
    ({"WAYLAND_DISPLAY": "nowhere"}, "wayland not available"),
    ({"SDL_VIDEODRIVER": "nosuch"}, "nosuch not available"),
])
@PYGAME
def test_without_a_display_there_is_one_clear_line_and_the_process_lives(opened, monkeypatch, variables, words):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(OutputError) as caught:
        opened()
    assert words in str(caught.value) and "--output video:PATH.mp4" in str(caught.value) and "\n" not in str(caught.value)


def test_without_pygame_the_cure_is_named(opened, monkeypatch):
    monkeypatch.setattr(window.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OutputError) as caught:
        opened()
    assert "{} -m pip install 'pygame>=2.1,<3'".format(sys.executable) in str(caught.value)
    assert "headless" not in str(caught.value) and "nanoface[window]" not in str(caught.value)


@pytest.mark.parametrize("program, words", [
    ("import time; time.sleep(600)", "it does not answer"),
    ("import sys; sys.exit(3)", "exit code 3"),
    ("import os; os.write(1, b'no luck\\n')", r"\(no luck\)"),
])
def test_a_display_that_does_not_answer_is_given_up(opened, monkeypatch, program, words):
    monkeypatch.setattr(window.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(window, "START", program)
    monkeypatch.setattr(window, "START_S", 1.0 if "sleep" in program else 60.0)
    with pytest.raises(OutputError, match=words):
        opened()


@PYGAME
@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("number, words", [(signal.SIGKILL, "its display has gone"), (signal.SIGSTOP, "does not answer")])
@pytest.mark.parametrize("by_itself", [False, True])
def test_a_window_that_goes_away_is_an_output_that_failed_or_a_note(opened, monkeypatch, number, words, by_itself):
    monkeypatch.setattr(window, "STUCK_S", 0.5)
    notes = []
    output = opened(note=notes.append) if by_itself else opened()
    output.emit(packet())
    os.kill(output._process.pid, number)
    if by_itself:
        wait_until(lambda: show(output, (1920, 1080)) and output.over, "not over")
        assert len(notes) == 1 and words in notes[0] and not output.closed
    else:
        with pytest.raises(OutputError, match=words):
            wait_until(lambda: not show(output, (1920, 1080)), "no failure")
        assert not output.closed and not output.over
        output.open()  # as its sender does
        assert show(output)
    output.close()
    assert output._process.returncode is not None


@pytest.mark.parametrize("program", ["", "import time; time.sleep(600)"])
def test_a_window_that_opens_by_itself_waits_for_nothing_and_ends_with_a_note(monkeypatch, program):
    notes = []
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(window, "STUCK_S", 0.5)
    monkeypatch.setattr(window, "START", program)
    monkeypatch.setattr(window.importlib.util, "find_spec", lambda name: name if program else None)
    sender = Sender(WindowOutput(parse_output("window"), Overlay(), note=notes.append))
    sender.start()  # its process will never say a word
    wait_until(lambda: sender.put(packet((1920, 1080))) is False, "still taken")
    assert sender.close(60.0) and sender.error is None and not sender.stop_wanted
    assert sender.stats()["state"] == "closed" and len(notes) == 1 and "\n" not in notes[0]


DESK = {"DISPLAY": ":0"}


@pytest.mark.parametrize("environ, changes, opens", [
    (DESK, {}, True),
    ({"WAYLAND_DISPLAY": "wayland-0"}, {}, True),
    ({"DISPLAY": "unix:0.0"}, {}, True),
    ({}, {}, False),
    ({"DISPLAY": ""}, {}, False),
    ({"DISPLAY": "nonsense"}, {}, False),
    ({"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "1"}, {}, False),  # X through ssh
    ({"DISPLAY": ":0", "SSH_CONNECTION": "1"}, {}, True),  # somebody has set it
    (dict(DESK, INVOCATION_ID="a"), {}, True),  # a terminal that is a service of the desktop hands this on
    (dict(DESK, INVOCATION_ID="a"), {"terminal": False}, False),  # a service, a script, a test
    (DESK, {"outputs": True}, True),
    (DESK, {"live": False}, True),
    (DESK, {"live": False, "outputs": True}, False),
    (DESK, {"live": False, "stills": True}, False),
    ({}, {"platform": "darwin"}, True),
    ({}, {"platform": "win32"}, True),
    ({"SSH_CONNECTION": "1"}, {"platform": "darwin"}, False),
    ({}, {"platform": "darwin", "terminal": False}, False),
], ids=str)
def test_where_a_live_picture_opens_by_itself(environ, changes, opens):
    here = DisplayState(environ, "linux", terminal=True, live=True, stills=False, outputs=False)
    assert opens_by_itself(here._replace(**changes)) == opens


@pytest.mark.parametrize("wanted, outputs, display, made", [
    ("auto", False, True, "by itself"),
    ("auto", True, True, "by itself"),
    ("auto", False, False, None),
    (True, True, False, "asked for"),
    (False, False, True, None),
])
def test_the_setting_decides_and_a_picture_that_does_not_open_says_how_to_see_something(wanted, outputs, display, made):
    shown = []
    here = DisplayState(DESK if display else {}, "linux", True, True, False, outputs)
    found = live_picture(wanted, here, OutputOptions(False, False, False, lambda: None), shown.append)
    assert [output._note is not None for output in found] == ([] if made is None else [made == "by itself"])
    if made == "by itself":
        found[0]._note("it rains")
        assert shown == ["no live picture: it rains" + ("" if outputs else "; " + NOTHING)]


@pytest.mark.parametrize("text, settings, wanted, outputs", [
    ("", {}, "auto", ()),
    ("output: {window: true}", {}, True, ()),
    ("output: {window: false}", {}, False, ()),
    ("output: {window: auto}\noutputs: [window, 'csv:a']", {}, "auto", ("window", "csv:a")),
    ("outputs: [Window, 'csv:a', 'window?mirror=true']", {"output.window": False}, False, ("csv:a",)),
    ("output: {window: false}", {"outputs": ["window"]}, False, ("window",)),  # asked for is asked for
], ids=str)
def test_no_window_takes_away_what_was_named_before(tmp_path, text, settings, wanted, outputs):
    (tmp_path / "a.yaml").write_text(text)
    config = load_config(str(tmp_path / "a.yaml"), settings, {})
    assert config.output.window is wanted or config.output.window == wanted == "auto"
    assert config.outputs == outputs


@pytest.mark.parametrize("size, desktop, first", [
    ((640, 480), (1920, 1080), (640, 480)),
    ((3840, 2160), (1920, 1080), (1632, 918)),
    ((96, 96), (1920, 1080), (480, 480)),
    ((1080, 1920), (1920, 1080), (516, 918)),
    ((1, 700), (1920, 1080), (1, 700)),
    ((640, 480), (320, 240), (272, 204)),
    ((640, 480), (-1, -1), (640, 480)),
])
def test_a_new_window_is_as_large_as_its_picture_where_there_is_room(size, desktop, first):
    assert viewer.first_size(size, desktop) == first


@pytest.mark.parametrize("size, room, found", [
    ((640, 480), (800, 480), (640, 480)), ((640, 480), (320, 480), (320, 240)), ((641, 359), (1282, 900), (1282, 718)),
    ((1, 700), (300, 70), (1, 70)), ((1000, 1), (10, 10), (10, 1)),
])
def test_the_aspect_is_kept(size, room, found):
    assert viewer.fitted(size, room) == found
    assert viewer.scaled(viewer.Picture(size, bytearray(3 * size[0] * size[1])), found).shape == found[::-1] + (3,)


def test_the_newest_picture_wins():
    reader, writer = os.pipe()
    reported = []
    stream = os.fdopen(reader, "rb", 0)
    inbox = viewer.Inbox(stream, lambda: reported.append("end"))
    for grey in range(50):
        os.write(writer, viewer.HEAD.pack(4, 2) + bytes([grey]) * 24)
    seen = []
    wait_until(lambda: seen.append(inbox.take(0.1)) or seen[-1] and seen[-1].pixels[0] == 49, "it never comes")
    assert seen[-1].size == (4, 2) and inbox.take(0.0) is None and not inbox.over
    os.write(writer, viewer.HEAD.pack(4, 2) + b"half")
    os.close(writer)
    wait_until(lambda: reported, "the end was not seen")
    assert inbox.over and inbox.take(60.0) is None
    stream.close()


@PYGAME
def test_on_a_real_display_the_picture_is_seen_and_follows_the_window(opened, screen):
    output = opened()
    show(output, (640, 480), (10, 120, 250))
    number = screen.window("nanoface: portrait")

    def area():
        """Rows and columns of the screen that have the picture's colour."""
        return tuple(int(n) for n in np.ptp(np.argwhere((screen.pixels() == (10, 120, 250)).all(axis=2)), axis=0) + 1)

    wait_until(lambda: (screen.pixels() == (10, 120, 250)).any() and area() == (480, 640), "no picture")
    screen.resize(number, 800, 300)
    wait_until(lambda: area() == (300, 400), "the picture was not fitted in, though no more frames came")
    assert not output.closed


@PYGAME
@pytest.mark.parametrize("act", [
    lambda screen, number: screen.press(number, "q"),
    lambda screen, number: screen.press(number, "Escape"),
    lambda screen, number: screen.ask_to_close(number),
], ids=["q", "Escape", "cross"])
def test_on_a_real_display_the_user_ends_the_run(opened, screen, act):
    output = opened()
    show(output)
    number = screen.window("nanoface: portrait")
    # again and again: what comes before a new window is drawn may be lost
    wait_until(lambda: act(screen, number) or output.closed, "not closed")
    assert output._process.returncode == viewer.CLOSED


@PYGAME
def test_an_x_server_that_goes_away_is_an_output_that_failed(opened, screen):
    output = opened()
    show(output)
    screen.window("nanoface: portrait")
    screen.process.kill()
    with pytest.raises(OutputError, match="output window: its display has gone"):
        wait_until(lambda: not show(output), "no failure")
    assert not output.closed


def test_a_window_is_made_from_its_word():
    assert isinstance(make_output(parse_output("window"), OutputOptions(False, True, False, lambda: None)), WindowOutput)


def test_a_report_opens_none_of_its_own(monkeypatch):
    from engines.report import run

    given = []
    monkeypatch.setattr(run.app, "run", lambda config, watch, report: given.append(config))
    watch = SimpleNamespace(notes=[], readings=[], on_report=None)
    run.track(load_config(os.devnull, {"output.window": True, "outputs": ["window"]}, {}), watch)
    assert given[0].output.window is False and given[0].outputs == ("jsonl:" + os.devnull,)
