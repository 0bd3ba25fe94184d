"""Loggers. TensorRT has one for the whole library: the first that is given, for as long as anything uses it."""
import os
import sys
import time
import weakref

from . import _texts
from ._enums import Severity, expect

LETTERS = {"I": Severity.INFO, "W": Severity.WARNING, "E": Severity.ERROR, "F": Severity.INTERNAL_ERROR,
           "V": Severity.VERBOSE}


class ILogger:
    """To be subclassed: call ILogger.__init__(self) and define log(self, severity, msg), which must not raise."""

    Severity = Severity
    INTERNAL_ERROR, ERROR, WARNING = Severity.INTERNAL_ERROR, Severity.ERROR, Severity.WARNING
    INFO, VERBOSE = Severity.INFO, Severity.VERBOSE
    __slots__ = ("_is_made", "__weakref__")

    def __init__(self):
        self._is_made = True

    def log(self, severity, msg):
        raise RuntimeError('Tried to call pure virtual function "ILogger::log"')


class Logger(ILogger):
    """Writes to the process's standard output, whatever sys.stdout is."""

    __slots__ = ("min_severity",)

    def __init__(self, min_severity=Severity.WARNING):
        super().__init__()
        self.min_severity = expect(min_severity, Severity, "Logger")

    def log(self, severity, msg):
        if int(severity) <= int(self.min_severity):
            letter = next(letter for letter, known in LETTERS.items() if known == severity)
            line = "[{}] [TRT] [{}] {}\n".format(time.strftime("%m/%d/%Y-%H:%M:%S"), letter, msg)
            os.write(1, line.encode("utf-8"))


class _Library:
    """What the library keeps for the process."""

    def __init__(self):
        self.logger, self.users = None, weakref.WeakSet()


library = _Library()


def logger_for(user, logger, function):
    """The logger that `user` will write to; TypeError for what is none."""
    expect(logger, ILogger, function)
    if not getattr(logger, "_is_made", False):
        raise TypeError("ILogger.__init__() must be called when overriding __init__")
    if library.logger is None or not len(library.users):
        library.logger = logger
    library.users.add(user)
    if library.logger is not logger:
        tell(library.logger, "W", _texts.OTHER_LOGGER.format(function))
    return library.logger


def tell(logger, letter, text):
    """Log. An exception inside a Python log() ends the process, as std::terminate does."""
    try:
        logger.log(LETTERS[letter], text)
    except BaseException as e:
        sys.stderr.write(_texts.TERMINATED.format(type(e).__name__, e) + "(simulator: log() of the logger raised)\n")
        sys.stderr.flush()
        os.abort()
