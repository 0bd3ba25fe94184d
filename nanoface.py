"""nanoface: where a face is, how the head is turned, where the eyes look, what the face does.

    from nanoface import Tracker
    with Tracker() as tracker:
        for face in tracker(image):                  # (height, width, 3) uint8 BGR
            print(face.id, face.pose, face.gaze, face.eye_open_left, face.missing)
    for frame, faces in Tracker.stream("portrait"):  # any source of the command line
        ...

All of it: docs/library.md. What is named here is loaded when it is first asked for, because this file is also where the
command `nanoface` begins, which sets variables before numpy is loaded.
"""
import os
import sys
import types
from importlib import import_module
from typing import TYPE_CHECKING, Any, List

if TYPE_CHECKING:
    from edge import __version__
    from edge.core.errors import (
        ConfigError,
        EdgeError,
        EngineError,
        FrameError,
        InputError,
        InputTypeError,
        ModelError,
        OutputError,
        SourceError,
        StateError,
        UnfitError,
    )
    from edge.core.packet import Eyes, Iris
    from edge.core.records import (
        Angles,
        Event,
        Face,
        FrameRecord,
        Gaze,
        Pose,
        Turn,
        read_event,
        read_line,
        read_record,
    )
    from edge.library.stream import Stream, StreamFrame
    from edge.library.tracker import Tracker

__all__ = [
    "Angles", "ConfigError", "EdgeError", "EngineError", "Event", "Eyes", "Face", "FrameError", "FrameRecord", "Gaze",
    "InputError", "InputTypeError", "Iris", "ModelError", "OutputError", "Pose", "SourceError", "StateError", "Stream",
    "StreamFrame", "Tracker", "Turn", "UnfitError", "__version__", "read_event", "read_line", "read_record",
]

HERE = os.path.dirname(os.path.abspath(__file__))
OURS = ("edge", "engines", "calibration")
HOMES = ("edge.core.errors", "edge.core.records", "edge.core.packet", "edge.library.tracker", "edge.library.stream", "edge")


def console() -> None:
    """The command `nanoface`: run sys.argv, and end the process with its exit code."""
    load_ours()
    from edge.__main__ import console as run

    run()


def load_ours() -> None:
    """Our packages from this folder, also where another edge.py or engines/ stands before it on PYTHONPATH.

    Only while they are looked up is this folder the first: site-packages before the standard library would let old
    backports in its place. What is inside them is found by them.
    """
    sys.path.insert(0, HERE)
    try:
        for name in OURS:
            found = import_module(name)
            file = vars(found).get("__file__") or name
            if os.path.realpath(os.path.dirname(file)) != os.path.realpath(os.path.join(HERE, name)):
                raise ImportError("{} was loaded before nanoface, and its package {} cannot be: rename one of them".format(
                    file, name))
    finally:
        sys.path.remove(HERE)


class _Names(types.ModuleType):
    """This module, which looks its names up; Python 3.6 knows no __getattr__ of a module."""

    def __getattr__(self, name: str) -> Any:
        if name not in __all__:
            raise AttributeError("module 'nanoface' has no attribute {!r}".format(name))
        load_ours()
        home = next(home for home in HOMES if hasattr(import_module(home), name))
        value = getattr(import_module(home), name)
        setattr(self, name, value)
        return value

    def __dir__(self) -> List[str]:
        return sorted(set(super().__dir__()) | set(__all__))


sys.modules[__name__].__class__ = _Names

if __name__ == "__main__":
    console()
