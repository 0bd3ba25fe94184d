"""Writes a module for DISCOVER's own server: a declaration, and a small program that starts nanoface.

That program imports DISCOVER's discover_utils, which is under the GPL, and is for that reason under it, too. It is made of the
text beside this file, which is ours and is no part of what runs here.
"""
import os
import sys
from typing import List, Optional

from edge import __version__
from edge.core.errors import ConfigError, OutputError
from edge.discover.capabilities import xml
from edge.discover.trainers import FACEMESH, OWN_PREFIX, SUFFIX, Trainer, always
from edge.host.disk import write_whole
from edge.host.process import CODE
from edge.host.reading import reason

NAME, CREATE = OWN_PREFIX + FACEMESH.name, "NanofaceFaceMesh"
MARK = "Written by nanoface discover module"
TEMPLATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "facemesh.py.txt")
HEAD_BYTES = 400  # of a file, among which the mark stands


def write(folder: str, program: Optional[str], force: bool) -> List[str]:
    """The files that were written. Raises ConfigError, OutputError."""
    command = own_program()
    if program is not None:
        command = [os.path.abspath(program)]
        if not (os.path.isfile(command[0]) and os.access(command[0], os.X_OK)):
            raise ConfigError("--program {}: there is no such program".format(program))
    with open(TEMPLATE, encoding="utf-8") as f:
        template = f.read()
    options = {one.name: (one.usual, one.place, dict(one.values)) for one in FACEMESH.options}
    mark = "{} ({})".format(MARK, __version__)
    trainer: Trainer = FACEMESH._replace(create=CREATE)
    texts = {NAME + ".py": template.format(mark=mark, program=command, options=options, create=CREATE, words=always(FACEMESH)),
             NAME + SUFFIX: xml(trainer, NAME + ".py", mark)}
    try:
        os.makedirs(folder, exist_ok=True)
        for name in texts:
            if not force and not _is_ours(os.path.join(folder, name)):
                raise OutputError("{} is there and was not written by nanoface: name another folder, or write over it with "
                                  "--force".format(os.path.join(folder, name)))
        return [write_whole(os.path.join(folder, name), text.encode("utf-8")) and os.path.join(folder, name)
                for name, text in texts.items()]
    except (OSError, ValueError) as e:
        raise OutputError("{} cannot be written: {}".format(folder, reason(e)))


def own_program() -> List[str]:
    """By whole paths: DISCOVER's server has an environment of its own."""
    beside = os.path.join(os.path.dirname(os.path.abspath(sys.executable)), "nanoface")
    return [beside] if os.access(beside, os.X_OK) else [sys.executable, os.path.join(CODE, "nanoface.py")]


def _is_ours(path: str) -> bool:
    """Or not there."""
    if not os.path.lexists(path):
        return True
    if os.path.islink(path) or not os.path.isfile(path):
        return False
    with open(path, "rb") as f:
        return MARK.encode() in f.read(HEAD_BYTES)
