"""The permissions that VTube Studio's users gave, a file for each host. Nobody else may read them."""
import os
from typing import Mapping
from urllib.parse import quote

from edge.core.errors import ModelError
from edge.host import commands
from edge.host.disk import write_whole
from edge.host.reading import read_small
from edge.outputs.live.vts.messages import TOKENS

FOLDER = "NANOFACE_TOKENS"  # of the environment
PRIVATE = 0o600 if hasattr(os, "fchown") else None
MOST_BYTES = 256


def path_of(host: str, environ: Mapping[str, str]) -> str:
    folder = environ.get(FOLDER) or os.path.join(commands.data_folder(environ), "tokens")
    return os.path.join(os.path.abspath(os.path.expanduser(folder)), "vts-{}".format(quote(host, safe="")))


def kept(path: str) -> str:
    """"" where there is none that could be one."""
    try:
        token = read_small(path, MOST_BYTES).decode("ascii").strip()
    except (OSError, ValueError):
        return ""
    return token if TOKENS.match(token) else ""


def keep(path: str, token: str) -> str:
    """Why it could not be kept, or ""."""
    try:
        write_whole(path, token.encode("ascii") + b"\n", PRIVATE)
    except (OSError, ModelError) as e:
        return " ".join(str(e).split())
    return ""
