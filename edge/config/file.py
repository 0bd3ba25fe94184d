"""Reads a YAML file of the configuration into dotted keys, each with the place where it stands. Checks no value."""
import os
import reprlib
from typing import Any, Dict, Mapping, NamedTuple, Optional

import yaml

from edge.config.rules import RULES, SECTIONS, no_such_key
from edge.config.yamlreading import NotYaml, parse_yaml
from edge.core.errors import ConfigError
from edge.host.commands import is_installed
from edge.host.ownership import ours
from edge.host.reading import ENCODING, LARGEST_BYTES, MOST_DIGITS, at_most, reason, single_line

SYSTEM_FILE = "/etc/nanoface.yaml"
OWN_NAME = "nanoface.yaml"
DEFAULTS_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "defaults.yaml")

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother, _SHORT.maxlist, _SHORT.maxdict = 2, 60, 60, 4, 3


class Found(NamedTuple):
    """A value as it was written, and where: "FILE:LINE" or the option of the command line."""

    value: Any
    where: str


class UserFile(NamedTuple):
    """The file of this run and why it is that one, for the error when it cannot be read."""

    path: str
    because: str


def choose_file(path: Optional[str], environ: Mapping[str, str]) -> Optional[UserFile]:
    """The file that was asked for, else the one of the environment, else the user's, else the machine's where there is one."""
    if path is not None:
        return UserFile(path, "--config")
    if environ.get("NANOFACE_CONFIG"):
        return UserFile(environ["NANOFACE_CONFIG"], "$NANOFACE_CONFIG")
    own = own_file(environ)
    if own and _is_ours(own):
        return UserFile(own, "your own configuration")
    return UserFile(SYSTEM_FILE, "the machine's configuration") if os.path.exists(SYSTEM_FILE) else None


def own_file(environ: Mapping[str, str]) -> str:
    """Where a user's configuration is looked for; "" for the service, and for an account without a home."""
    folder = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME") or "", ".config")
    return os.path.join(folder, OWN_NAME) if os.path.isabs(folder) and not is_installed() else ""


def _is_ours(path: str) -> bool:
    """It exists, and is not another user's whose $HOME `sudo` has kept."""
    try:
        owner = os.stat(path).st_uid
    except OSError:
        return False
    return not hasattr(os, "geteuid") or owner in ours()


def describe(value: Any) -> str:
    """A value as its writer knows it, on one line and short."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "a section with keys of its own"
    if isinstance(value, int) and abs(value) >= 10 ** MOST_DIGITS:  # Python refuses to write thousands of them
        return "a number of more than {} digits".format(MOST_DIGITS)
    return ("the text " if isinstance(value, str) else "") + _SHORT.repr(value)


def read_file(user_file: UserFile) -> Dict[str, Found]:
    """Dotted key -> what was written. Raises ConfigError for what is no readable YAML of known sections and keys."""
    text = _read_text(user_file)
    path = user_file.path
    try:
        node, document = parse_yaml(text)
    except NotYaml as e:
        raise ConfigError("{}: {}".format("{}:{}".format(path, e.line) if e.line else path, e))
    return _flat({} if document is None else document, _lines(node, path), path)


def _read_text(user_file: UserFile) -> str:
    path, because = user_file
    try:
        with open(path, "rb") as f:  # a pipe will do, as in --config <(...), and Ctrl-C ends the waiting for one
            data = at_most(f, LARGEST_BYTES)
    except FileNotFoundError:
        raise ConfigError("the configuration file {} ({}) does not exist".format(path, because))
    except (OSError, ValueError) as e:
        raise ConfigError("the configuration file {} ({}) cannot be read: {}".format(path, because, reason(e)))
    try:
        return data.decode(ENCODING)
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        raise ConfigError("{}:{}: not UTF-8 (byte 0x{:02x}); save the file as UTF-8".format(path, line, data[e.start]))


def read_line(path: str) -> str:
    """The only line of a small file. Raises ConfigError."""
    try:
        return single_line(path)
    except (OSError, ValueError) as e:
        cure = "write the source into it, on one line of UTF-8, and let this user read it"
        raise ConfigError("source.spec_file {} cannot be read: {}; {}".format(path, reason(e), cure))


def _lines(root: Optional[yaml.Node], path: str) -> Dict[str, int]:
    """Dotted key -> its line. Raises ConfigError for a key that stands there twice: YAML keeps one of them silently."""
    lines = {}  # type: Dict[str, int]

    def walk(node: Optional[yaml.Node], prefix: str) -> None:
        for key_node, value in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key_node, yaml.ScalarNode):
                continue
            key, line = prefix + key_node.value, key_node.start_mark.line + 1
            if key in lines:
                raise ConfigError("{}:{}: {} is already set in line {}".format(path, line, key, lines[key]))
            lines[key] = line
            if not prefix:
                walk(value, key + ".")

    walk(root, "")
    return lines


def _flat(document: Any, lines: Mapping[str, int], path: str) -> Dict[str, Found]:
    if not isinstance(document, dict):
        raise ConfigError("{}: found {} where sections such as source: are meant".format(path, describe(document)))

    def where(key: str) -> str:
        return "{}:{}".format(path, lines[key]) if key in lines else path

    found = {}  # type: Dict[str, Found]
    for name, value in document.items():
        section = str(name)
        if section not in SECTIONS:
            if section not in RULES:
                raise ConfigError("{}: {}".format(where(section), no_such_key(section)))
            found[section] = Found(value, where(section))
            continue
        if value is None:  # a section whose keys are all commented out
            continue
        if not isinstance(value, dict):
            first = next(key for key in RULES if key.startswith(section + "."))
            raise ConfigError("{}: {} is {}; write its keys below it, such as {}".format(
                where(section), section, describe(value), first))
        for leaf, written in value.items():
            key = "{}.{}".format(section, leaf)
            if key not in RULES:
                raise ConfigError("{}: {}".format(where(key), no_such_key(key)))
            found[key] = Found(written, where(key))
    return found
