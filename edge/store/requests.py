"""A capture that is asked of the tracker which holds the camera: small files in the folder of the profiles.

`request` is put there by the command and taken away by the tracker; `reply` is written by the tracker until it is done;
`cancel` by the command, whose user does not want it any more.
"""
import json
import os
import time
from contextlib import suppress
from typing import Any, Dict, Mapping, NamedTuple, Optional

from edge.core.errors import OutputError
from edge.core.rules import is_profile
from edge.host.disk import StorageError, write_whole
from edge.host.reading import parse_json, read_small, reason
from edge.host.safeopen import random_word

REQUEST, REPLY, CANCEL = "request", "reply", "cancel"
MOST_BYTES = 4096
STALE_S = 10.0  # of a command that was killed
LEAST_S, MOST_S = 0.3, 60.0  # of a capture
PRIVATE = 0o600 if hasattr(os, "fchown") else None


class Request(NamedTuple):
    """A capture of `seconds`, to be kept as the profile `name`."""

    id: str
    name: str
    seconds: float


def put(folder: str, name: str, seconds: float) -> Request:
    """Raises OutputError."""
    request = Request(random_word(), name, seconds)
    try:
        write_whole(os.path.join(folder, REQUEST), json.dumps(request._asdict()).encode("ascii"), PRIVATE)
    except StorageError as e:
        raise OutputError("the running tracker cannot be asked in {} ({})".format(folder, reason(e)))
    return request


def withdraw(folder: str) -> bool:
    """False where a tracker has taken it."""
    try:
        os.remove(os.path.join(folder, REQUEST))
        return True
    except OSError:
        return False


def cancel(folder: str, request: Request) -> None:
    """Whether a tracker has taken it or not. A disk that is full loses it."""
    if not withdraw(folder):
        with suppress(StorageError):
            write_whole(os.path.join(folder, CANCEL), request.id.encode("ascii"), PRIVATE)


def is_cancelled(folder: str, request: Request) -> bool:
    """Once."""
    path = os.path.join(folder, CANCEL)
    try:
        found = read_small(path, MOST_BYTES) == request.id.encode("ascii")
        os.remove(path)
    except (OSError, ValueError):
        return False
    return found


def take(folder: str) -> Optional[Request]:
    """The request that waits, which is nobody else's from now on."""
    path = os.path.join(folder, REQUEST)
    try:
        age_s = time.time() - os.stat(path).st_mtime
        facts = parse_json(read_small(path, MOST_BYTES))
        os.remove(path)
        request = Request(str(facts["id"]), str(facts["name"]), float(facts["seconds"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None
    fits = is_profile(request.name) and LEAST_S <= request.seconds <= MOST_S
    return request if fits and abs(age_s) <= STALE_S else None


def reply(folder: str, request: Request, facts: Mapping[str, Any]) -> None:
    """`done` 0..1 and `text`; at the end also `over`, and `failed` where that was so. A disk that is full loses it."""
    with suppress(StorageError):
        content = json.dumps(dict(facts, id=request.id)).encode("ascii")
        write_whole(os.path.join(folder, REPLY), content, PRIVATE)


def read_reply(folder: str, request: Request) -> Optional[Dict[str, Any]]:
    """What was replied last to this request."""
    try:
        facts = parse_json(read_small(os.path.join(folder, REPLY), MOST_BYTES))
    except (OSError, ValueError):
        return None
    whole = isinstance(facts, dict) and facts.get("id") == request.id and isinstance(facts.get("text"), str)
    return facts if whole and isinstance(facts.get("done"), (int, float)) else None
