"""Every error that a user can meet. The text is one line that says what is wrong and what cures it.

The command line turns the class into an exit code: 2 usage and configuration, 3 source, 4 model and engine, 5 output,
6 engines that no restart makes better.
"""
from typing import Any

from edge.core import redact


class EdgeError(Exception):
    """Base of all errors with a cure; anything else that escapes is a bug."""

    exit_code = 1
    short = ""  # what is wrong without the cure, for a status record; "": the whole text

    def __init__(self, *args: Any) -> None:
        """Texts are shown, logged and written to status records: none holds a password."""
        super().__init__(*(redact.hide(arg) if isinstance(arg, str) else arg for arg in args))


class ConfigError(EdgeError):
    """A wrong option, key, type or range."""

    exit_code = 2


class InputError(EdgeError, ValueError):
    """What a program hands over as a picture, a time or a frame record, and is none."""

    exit_code = 2


class InputTypeError(InputError, TypeError):
    """The same of another type altogether."""


class StateError(EdgeError, RuntimeError):
    """Something is used that was closed, or by another thread or process than it belongs to."""


class SourceError(EdgeError):
    """A camera, file or stream that cannot be opened or read."""

    exit_code = 3


class ModelError(EdgeError):
    """A network that is missing, corrupt, or not as its manifest entry has it."""

    exit_code = 4


class EngineError(ModelError):
    """A runtime that is missing, or a plan that does not fit this board."""


class UnfitError(EngineError):
    """Engines that do not fit, which no restart makes better: the service is not started again."""

    exit_code = 6


class OutputError(EdgeError):
    """A file, window or socket that cannot be written to."""

    exit_code = 5


class FrameError(EdgeError):
    """One frame cannot be processed. The packet is dropped and counted; the pipeline goes on."""
