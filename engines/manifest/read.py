"""Reads manifest.yaml: every network and asset, where it comes from, what goes in and what comes out.

Needs PyYAML only. A mistake in the file is one ModelError with the place and the cure; unknown keys are mistakes.
"""
import os
import re
from typing import Any, Collection, Dict, List, Mapping, NoReturn, Tuple

import yaml

from edge.core.errors import ModelError
from edge.core.roles import ROLES as STAGE_ROLES
from edge.core.spelling import did_you_mean, nearest
from engines.manifest.entries import ASSET_KINDS, GITHUB, PIP, Input, Manifest, Network, Role, Source, Wheel

SCHEMA = 1
MANIFEST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "manifest.yaml")
ROLES = STAGE_ROLES + ("geometry",)
NETWORK_KINDS = ("onnx", "tflite", "mxnet", "mb05", "faceboxes", "facemesh", "attention")

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_PATH = r"(?P<path>(?!/)(?!(?:.*/)?\.\.(?:/|\Z))[^:\\]+)\Z"
_FORMS = {
    GITHUB: (re.compile(r"(?P<origin>[\w.-]+/[\w.-]+)@(?P<commit>[0-9a-f]{40}):" + _PATH),
             "owner/repo@commit:path with the whole commit, 40 digits"),
    PIP: (re.compile(r"(?P<origin>[\w.-]+==[\w.]+):" + _PATH), "package==version:path in the wheel"),
}


def _wrong(where: str, what: str) -> NoReturn:
    raise ModelError("{}: {}".format(where, what))


def _keys(value: Any, where: str, required: Collection[str], optional: Collection[str] = ()) -> Dict[str, Any]:
    """`value` as a dict that has every required key and no unknown one."""
    if not isinstance(value, dict):
        _wrong(where, "expected keys and values, not {!r}".format(value))
    known = list(required) + list(optional)
    for key in value:
        if key not in known:
            _wrong(where, "unknown key {!r}{}".format(key, did_you_mean(nearest(str(key), known))))
    for key in required:
        if key not in value:
            _wrong(where, "{} is missing".format(key))
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        _wrong(where, "expected text, not {!r}".format(value))
    return value


def _optional_text(keys: Mapping[str, Any], key: str, where: str) -> str:
    """The text under `key`; empty where there is no such key."""
    return _text(keys[key], "{}.{}".format(where, key)) if key in keys else ""


def _whole(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        _wrong(where, "expected a whole number above 0, not {!r}".format(value))
    return value


def _list(value: Any, where: str) -> List[Any]:
    if not isinstance(value, list) or not value:
        _wrong(where, "expected a list with something in it, not {!r}".format(value))
    return value


def _shape(value: Any, where: str) -> Tuple[int, ...]:
    return tuple(_whole(v, where) for v in _list(value, where))


def _number(value: Any, where: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        _wrong(where, "expected a number, not {!r}".format(value))
    return float(value)


def _source(value: Any, where: str) -> Source:
    keys = _keys(value, where, ("sha256", "size"), (GITHUB, PIP))
    kinds = [kind for kind in (GITHUB, PIP) if kind in keys]
    if len(kinds) != 1:
        _wrong(where, "expected one of github and pip")
    pattern, form = _FORMS[kinds[0]]
    found = pattern.match(_text(keys[kinds[0]], where))
    if not found:
        _wrong(where, "{!r} is not {}".format(keys[kinds[0]], form))
    if not isinstance(keys["sha256"], str) or not _SHA256.match(keys["sha256"]):
        _wrong(where, "sha256 is not 64 hexadecimal digits")
    parts = found.groupdict()
    return Source(kinds[0], parts["origin"], parts.get("commit", ""), parts["path"], keys["sha256"],
                  _whole(keys["size"], where + ".size"))


def _input(value: Any, where: str) -> Input:
    keys = _keys(value, where, ("shape", "colour", "scale", "offset"))
    shape = _shape(keys["shape"], where + ".shape")
    offset = tuple(_number(v, where + ".offset") for v in _list(keys["offset"], where + ".offset"))
    if len(shape) != 4 or shape[1] != 3 or len(offset) != 3:
        _wrong(where, "expected a shape (N, 3, H, W) and three offsets")
    if keys["colour"] not in ("rgb", "bgr"):
        _wrong(where, "colour is rgb or bgr, not {!r}".format(keys["colour"]))
    return Input(shape, keys["colour"], _number(keys["scale"], where + ".scale"), offset)


def _roles_of(keys: Mapping[str, Any], where: str) -> Tuple[str, ...]:
    """`role: align`, or `roles: [align, iris]` of a network that fills what a later stage would; in the pipeline's order."""
    if ("role" in keys) == ("roles" in keys):
        _wrong(where, "expected one of role and roles")
    given = _list(keys["roles"], where + ".roles") if "roles" in keys else [keys["role"]]
    for role in given:
        if role not in ROLES:
            _wrong(where, "role is one of {}, not {!r}".format(", ".join(ROLES), role))
    return tuple(role for role in ROLES if role in given)


def _network(name: str, value: Any, where: str) -> Network:
    if not isinstance(name, str) or not _NAME.match(name):
        _wrong(where, "a network's name has small letters, digits and _ only")
    keys = _keys(value, where, ("sources", "licence", "outputs", "decode", "convert"), ("input", "role", "roles"))
    convert = keys["convert"]
    if not isinstance(convert, dict) or convert.get("kind") not in NETWORK_KINDS + ASSET_KINDS:
        _wrong(where, "convert.kind is one of {}".format(", ".join(NETWORK_KINDS + ASSET_KINDS)))
    if ("input" in keys) == (convert["kind"] in ASSET_KINDS):
        _wrong(where, "a network has an input, an asset has none")
    licence = _keys(keys["licence"], where + ".licence", ("spdx",), ("note",))
    outputs = keys["outputs"]
    if not isinstance(outputs, dict) or not outputs:
        _wrong(where, "outputs are missing")
    if not isinstance(keys["decode"], dict):
        _wrong(where, "decode: expected keys and values, not {!r}".format(keys["decode"]))
    sources = _list(keys["sources"], where + ".sources")
    return Network(
        name=name, roles=_roles_of(keys, where),
        sources=tuple(_source(v, "{}.sources[{}]".format(where, i)) for i, v in enumerate(sources)),
        licence=_text(licence["spdx"], where + ".licence.spdx"),
        licence_note=_optional_text(licence, "note", where + ".licence"),
        input=_input(keys["input"], where + ".input") if "input" in keys else None,
        outputs={k: _shape(v, "{}.outputs.{}".format(where, k)) for k, v in outputs.items()},
        decode=keys["decode"], kind=convert["kind"],
        options={k: v for k, v in convert.items() if k != "kind"})


def _roles(value: Any, where: str, networks: Mapping[str, Network]) -> Tuple[Role, ...]:
    keys, roles = _keys(value, where, ROLES), []
    for name in ROLES:
        here = "{}.{}".format(where, name)
        role = _keys(keys[name], here, ("candidates",), ("without",))
        candidates = tuple(_text(c, here + ".candidates") for c in _list(role["candidates"], here + ".candidates"))
        for candidate in candidates:
            if candidate not in networks or name not in networks[candidate].roles:
                _wrong(here, "{!r} is not a network of this role".format(candidate))
            if networks[candidate].role != name:
                _wrong(here, "{!r} runs as {} and is a candidate there, where it fills this role, too".format(
                    candidate, networks[candidate].role))
        roles.append(Role(name, candidates, _optional_text(role, "without", here)))
    return tuple(roles)


def _wheel(requirement: str, value: Any, where: str) -> Wheel:
    keys = _keys(value, where, ("platform", "python", "implementation", "size"))
    texts = [_text(keys[k], "{}.{}".format(where, k)) for k in ("platform", "python", "implementation")]
    return Wheel(requirement, texts[0], texts[1], texts[2], _whole(keys["size"], where + ".size"))


def read_manifest(path: str = MANIFEST) -> Manifest:
    """Raises ModelError with the place of the mistake."""
    try:
        with open(path, encoding="utf-8") as f:
            content = yaml.safe_load(f)
    except (OSError, ValueError, yaml.YAMLError) as e:
        raise ModelError("{} cannot be read: {}".format(path, " ".join(str(e).split()))) from e
    file = os.path.basename(path)
    keys = _keys(content, file, ("schema", "wheels", "roles", "networks"))
    if keys["schema"] != SCHEMA:
        _wrong(file, "schema {!r} is not one that this version reads ({})".format(keys["schema"], SCHEMA))
    for section in ("wheels", "networks"):
        if not isinstance(keys[section], dict):
            _wrong(file, "{} are missing".format(section))
    wheels = {r: _wheel(r, v, "{}: wheels.{}".format(file, r)) for r, v in keys["wheels"].items()}
    networks = {n: _network(n, v, "{}: networks.{}".format(file, n)) for n, v in keys["networks"].items()}
    for network in networks.values():
        for source in network.sources:
            if source.kind == PIP and source.origin not in wheels:
                _wrong(file, "networks.{}: wheels has no {}".format(network.name, source.origin))
    return Manifest(_roles(keys["roles"], file + ": roles", networks), networks, wheels)
