"""The bytes of a profile: JSON with a version and a checksum."""
import hashlib
import json
import os
import time
from typing import Any, Dict, Mapping

from edge.core.errors import ConfigError
from edge.host import commands
from edge.host.reading import parse_json, read_small

SCHEMA = 1
MOST_BYTES = 1 << 18  # a profile has 20 kB
CHECKSUM = "sha256"


class Damaged(ValueError):
    """What lies there is no profile."""


def encoded(name: str, facts: Mapping[str, Any]) -> bytes:
    whole = dict(facts, schema=SCHEMA, name=name)
    whole.setdefault("made_at", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    whole[CHECKSUM] = checksum(whole)
    return (json.dumps(whole, sort_keys=True, separators=(",", ":")) + "\n").encode("ascii")


def checksum(facts: Mapping[str, Any]) -> str:
    """Over every key but its own, also those of later versions."""
    rest = {key: value for key, value in facts.items() if key != CHECKSUM}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()


def read(path: str) -> Dict[str, Any]:
    """The whole object. Raises OSError, Damaged; ConfigError for one of a later version, which is whole but not for us."""
    try:
        if os.path.isdir(path):
            raise Damaged("it is a folder")
        facts = parse_json(read_small(path, MOST_BYTES))
    except ValueError as e:
        raise Damaged(str(e) if isinstance(e, Damaged) or "more than" in str(e) else "it is no JSON")
    if not isinstance(facts, dict):
        raise Damaged("it is no JSON object")
    schema = facts.get("schema")
    if type(schema) is int and schema > SCHEMA:
        raise ConfigError("{} was made by a later nanoface (schema {}): update this one, or take another name: {}".format(
            path, schema, commands.run("calibrate neutral --name NAME")))
    if schema != SCHEMA:
        raise Damaged("it has no schema that is known")
    if facts.get(CHECKSUM) != checksum(facts):
        raise Damaged("its checksum is wrong")
    return facts
