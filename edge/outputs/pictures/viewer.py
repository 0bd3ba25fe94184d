"""The process that shows pictures in a window; edge/outputs/pictures/window.py starts it and says why it is separate.

A thread takes in every picture at once and keeps the newest, so that the sender never waits for a display. The
main thread draws, and answers the user while no picture comes, too. When the sender is gone, it ends.
"""
import json
import os
import signal
import struct
import sys
import threading
import time
from typing import Any, BinaryIO, Callable, NamedTuple, Optional, Tuple

from edge.host import waiting

HEAD = struct.Struct("<II")  # before each picture: width and height; then its rows, blue green red
READY = b"ready\n"  # on standard output once a display was reached; anything else is why there is no window
CLOSED = 10  # exit code: the user closed it
LOOK_S = 0.02  # how long a key may wait
END_S = 0.4  # for the last picture to be drawn when the sender is gone
SHARE = 0.85  # of the desktop that a new window may fill
SMALLEST = 480  # the longer side of a new window, pixels: smaller pictures are enlarged
Size = Tuple[int, int]


class Picture(NamedTuple):
    size: Size
    pixels: bytearray


class Inbox:
    """The newest picture that has come and was not taken."""

    def __init__(self, stream: BinaryIO, at_end: Callable[[], None]) -> None:
        """`at_end` is called in its thread."""
        self.over = False  # nobody sends any more
        self._stream, self._at_end, self._newest = stream, at_end, None  # type: Any, Any, Optional[Picture]
        self._changed = waiting.Condition()
        threading.Thread(target=self._run, name="inbox", daemon=True).start()

    def take(self, timeout_s: float) -> Optional[Picture]:
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self.over, timeout_s)
            newest, self._newest = self._newest, None
            return newest

    def _run(self) -> None:
        try:
            while True:
                width, height = HEAD.unpack(self._read(HEAD.size))
                picture = Picture((width, height), self._read(3 * width * height))
                with self._changed:
                    self._newest = picture
                    self._changed.notify_all()
        except EOFError:
            with self._changed:
                self.over = True
                self._changed.notify_all()
            self._at_end()

    def _read(self, length: int) -> bytearray:
        data = bytearray(length)
        view, done = memoryview(data), 0
        while done < length:
            count = self._stream.readinto(view[done:])  # type: ignore
            if not count:
                raise EOFError
            done += count
        return data


class Window:
    """Opened with the first picture, as large as it where there is room. Later ones are fitted in, whatever their size."""

    def __init__(self, title: str) -> None:
        """Raises pygame.error where no display can be reached."""
        import pygame

        self._pygame, self._title, self._shown = pygame, title, None  # type: Any, str, Optional[Picture]
        pygame.display.init()

    def show(self, picture: Picture) -> None:
        display = self._pygame.display
        if self._shown is None:
            info = display.Info()
            display.set_caption(self._title)
            display.set_mode(first_size(picture.size, (info.current_w, info.current_h)), self._pygame.RESIZABLE)
            display.set_allow_screensaver(True)  # a tracker that is left alone keeps no screen lit
        self._shown = picture
        self._draw(picture)

    def is_closed(self) -> bool:
        """Whether the user has closed it, or pressed q or Escape in it, since this was last asked."""
        pygame, changed = self._pygame, False
        for event in pygame.event.get():
            if event.type == pygame.QUIT or event.type == pygame.KEYDOWN and event.key in (pygame.K_q, pygame.K_ESCAPE):
                return True
            changed = changed or event.type in (pygame.VIDEORESIZE, pygame.VIDEOEXPOSE)
        if changed and self._shown is not None:
            self._draw(self._shown)
        return False

    def _draw(self, picture: Picture) -> None:
        screen = self._pygame.display.get_surface()
        room = screen.get_size()
        size = fitted(picture.size, room)
        pixels = picture.pixels if size == picture.size else scaled(picture, size)
        if size != room:
            screen.fill((0, 0, 0))
        screen.blit(self._pygame.image.frombuffer(pixels, size, "BGR"),
                    ((room[0] - size[0]) // 2, (room[1] - size[1]) // 2))
        self._pygame.display.flip()


def fitted(size: Size, room: Size) -> Size:
    """The largest of the same shape that fits in."""
    scale = min(room[0] / size[0], room[1] / size[1])
    return max(1, int(round(size[0] * scale))), max(1, int(round(size[1] * scale)))


def first_size(size: Size, desktop: Size) -> Size:
    """Of a new window. The size of an unknown desktop is -1."""
    room = [int(SHARE * n) if n > 0 else own for n, own in zip(desktop, size)]
    least = SMALLEST / max(size)
    wanted = (int(round(size[0] * least)), int(round(size[1] * least))) if least > 1.0 else size
    return fitted(size, (min(room[0], max(1, wanted[0])), min(room[1], max(1, wanted[1]))))


def scaled(picture: Picture, size: Size) -> Any:
    """By OpenCV: pygame's own scaling is ten times slower, or coarse."""
    import cv2
    import numpy as np

    cv2.setNumThreads(1)
    width, height = picture.size
    rows = np.frombuffer(picture.pixels, np.uint8).reshape(height, width, 3)
    return cv2.resize(rows, size, interpolation=cv2.INTER_AREA if size[0] < width else cv2.INTER_LINEAR)


def run(title: str, inbox: Inbox, send: Callable[[bytes], Any]) -> int:
    """Until the sender is gone or the user closes the window; the exit code."""
    try:
        window = Window(title)
        send(READY)
        while not inbox.over:
            picture = inbox.take(LOOK_S)
            if picture is not None:
                window.show(picture)
            if window.is_closed():
                return CLOSED
    except ImportError as e:
        send("pygame cannot be loaded: {}".format(e).encode("utf-8", "replace"))
        return 1
    except RuntimeError as e:  # pygame.error
        send(str(e).encode("utf-8", "replace"))
        return 1
    return 0


def _leave() -> None:
    """For a display that hangs: the main thread is quicker."""
    time.sleep(END_S)
    os._exit(0)


def main() -> None:
    """`argv[1]`: the title, as JSON. What libraries print goes to standard error, not to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the parent
    if hasattr(os, "nice"):
        os.nice(5)  # where the processor is short, tracking goes before showing
    parent = os.dup(1)
    os.dup2(2, 1)
    inbox = Inbox(os.fdopen(0, "rb", 0, closefd=False), _leave)
    code = run(json.loads(sys.argv[1]), inbox, lambda text: os.write(parent, text))
    os._exit(code)  # at once: the system closes the window
