"""What a request to /process says: its fields in either spelling, and what they mean for each session."""
import json
import re
from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

from edge.host.reading import can_be_name, parse_json

MOST_ENTRIES, MOST_SESSIONS = 64, 1000
LONGEST_NAME, LONGEST_URI = 255, 4096  # of a session or dataset, which are folders' names; no path is longer
FILE, REQUEST = "file", "request"
ORIGINS = (FILE, REQUEST, "db", "url")
SUPER_TYPES = ("stream", "annotation", "text", "image", "table")
SUB_TYPES = ("audio", "video", "ssistream", "discrete", "continuous", "free")
INPUT, OUTPUT = "input", "output"
USED = ("job_id", "trainer_file_path", "data", "dataset", "sessions", "options", "opt_str", "delete_after_download")
SECRET = re.compile("password|secret|token", re.IGNORECASE)


class Entry(NamedTuple):
    """One of `data`: what is read, or written."""

    io: str  # INPUT, OUTPUT or anything else
    id: str
    origin: str
    src: str  # as it was written
    uri: str
    template: bool  # {dataset} and {session} in the uri stand for names
    name: str
    active: bool


class Asked(NamedTuple):
    trainer: str  # a path with slashes of either kind
    entries: Tuple[Entry, ...]
    dataset: str
    sessions: Tuple[str, ...]
    options: Mapping[str, Any]
    unused: Tuple[str, ...]  # fields that change nothing here


def spelled(name: str) -> str:
    """A field's name as DISCOVER's scripts spell it: jobID and jobId are job_id."""
    return re.sub(r"(?<=[^A-Z])(?=[A-Z])", "_", name.lstrip("-")).lower()


def job_key(form: Mapping[str, str]) -> str:
    """Which job a request is about; "" where it says none."""
    return next((value for name, value in form.items() if spelled(name) == "job_id"), "")


def shown(form: Mapping[str, str]) -> Dict[str, str]:
    """The fields, for logs and lists: without passwords."""
    return {name: "****" if SECRET.search(name) else value for name, value in form.items()}


def read(form: Mapping[str, str]) -> Asked:
    """Raises ValueError with one line."""
    fields: Dict[str, str] = {}
    for name, value in form.items():
        fields.setdefault(spelled(name), value)
    trainer = fields.get("trainer_file_path", "")
    if not trainer:
        raise ValueError("trainerFilePath not specified in request.")
    sessions = _json("sessions", fields.get("sessions") or '["dummy_session"]', list)
    dataset = fields.get("dataset") or "dummy_dataset"
    if not 0 < len(sessions) <= MOST_SESSIONS or not all(isinstance(one, str) for one in sessions):
        raise ValueError("sessions: a list of 1 to {} names is meant".format(MOST_SESSIONS))
    if max(map(len, sessions + [dataset])) > LONGEST_NAME:
        raise ValueError("a name of a session or dataset has more than {} characters".format(LONGEST_NAME))
    if "data" not in fields:
        raise ValueError("data not specified in request.")
    entries = _json("data", fields["data"], list)
    if len(entries) > MOST_ENTRIES:
        raise ValueError("data: there are more than {} entries".format(MOST_ENTRIES))
    options = (_json("options", fields["options"], dict) if fields.get("options")
               else old_options(fields.get("opt_str", "")))
    if len(options) > MOST_ENTRIES:
        raise ValueError("there are more than {} options".format(MOST_ENTRIES))
    return Asked(trainer, tuple(_entry(one) for one in entries), dataset, tuple(sessions), options,
                 tuple(sorted(set(fields) - set(USED))))


def old_options(text: str) -> Dict[str, Any]:
    """NAME=VALUE;NAME=VALUE. Raises ValueError."""
    found: Dict[str, Any] = {}
    for word in (word for word in text.split(";") if word.strip()):
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError("optStr {!r}: write NAME=VALUE;NAME=VALUE".format(text[:80]))
        found[name.strip()] = None if value == "None" else value
    return found


def _json(name: str, text: str, kind: type) -> Any:
    try:
        value = parse_json(text.encode("utf-8", "surrogateescape"))
    except ValueError as e:
        raise ValueError("{} is no JSON: {}".format(name, e))
    if not isinstance(value, kind):
        raise ValueError("{} is {}, and has to be a JSON {}".format(
            name, json.dumps(value)[:40], "list" if kind is list else "object"))
    return value


def _entry(one: Any) -> Entry:
    if not isinstance(one, dict) or not isinstance(one.get("src"), str):
        raise ValueError("data: each entry is an object with src, such as file:stream:video, type, id and uri")
    src = one["src"]
    parts = src.split(":", 3)
    if (parts[0] not in ORIGINS or len(parts) < 2 or parts[1].lower() not in SUPER_TYPES
            or len(parts) > 2 and parts[2].lower() not in SUB_TYPES):
        raise ValueError("Invalid value for data source {}".format(src[:80]))
    template = one.get("uri_template") is not None
    texts = {name: one.get(name) or "" for name in ("type", "id", "name", "uri_template" if template else "uri")}
    for name, value in texts.items():
        if not isinstance(value, str) or not can_be_name(value) or re.search(r"[\x00-\x1f]", value):
            raise ValueError("data: {} of {} is no text on one line".format(name, src[:80]))
        if len(value) > LONGEST_URI:
            raise ValueError("data: {} of {} has more than {} characters".format(name, src[:80], LONGEST_URI))
    return Entry(texts["type"], texts["id"], parts[0], src, texts["uri_template" if template else "uri"], template,
                 texts["name"], one.get("active", True) not in (False, "False", "false"))


def uri_of(entry: Entry, asked: Asked, session: str) -> str:
    """With names in the place of {dataset} and {session}; {{ and }} are braces. Raises ValueError."""
    if not entry.template:
        return entry.uri
    names = {"{{": "{", "}}": "}", "{dataset}": asked.dataset, "{session}": session}
    pieces: List[str] = re.split(r"(\{\{|\}\}|\{[^{}]*\})", entry.uri)
    for place in pieces[1::2]:
        if place not in names:
            raise ValueError("uri_template {}: {} is neither {{dataset}} nor {{session}}".format(entry.uri[:80], place[:40]))
    uri = "".join(names.get(piece, piece) if at % 2 else piece for at, piece in enumerate(pieces))
    if len(uri) > LONGEST_URI:
        raise ValueError("uri_template {}: it comes to more than {} characters".format(entry.uri[:80], LONGEST_URI))
    return uri
