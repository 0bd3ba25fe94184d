"""`nanoface` as a function of the tests' own process: what a process of its own would end with and have written.

A hundred wrong words take as long so as ten processes. What only a process can show - signals, streams, the end of the
interpreter - is for whole_runs.
"""
import logging
import os
from unittest import mock

from whole_runs import Done, environment

from edge.cli import main as cli


class InProcess:
    """call(word ...) -> what the command came to. `capfd` also catches what libraries write past Python."""

    def __init__(self, folder, capfd, home=None):
        self.folder, self._capfd = str(folder), capfd
        self.home = os.path.join(self.folder, "home") if home is None else str(home)

    def __call__(self, *words, **more):
        """`more` are variables of its environment."""
        root, here = logging.getLogger(), os.getcwd()
        handlers, level = root.handlers, root.level
        self._capfd.readouterr()
        try:
            root.handlers = []  # else the command takes pytest's for the user's own
            os.chdir(self.folder)
            with mock.patch.dict(os.environ, environment(self.folder, self.home, **more), clear=True):
                code = cli.main(words)
        finally:
            os.chdir(here)
            root.handlers = handlers
            root.setLevel(level)
        return Done(self.folder, code, *self._capfd.readouterr())
