"""What the manifest holds, as types: sources, networks, roles. read.py reads and checks the file."""
from typing import Any, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from edge.core.errors import ConfigError
from edge.core.spelling import nearest
from edge.host import commands

ASSET_KINDS = ("canonical_face",)  # of converter; what they make is no network
GITHUB, PIP = "github", "pip"


class Source(NamedTuple):
    """One file of one origin. `path` is its place there; `location` its place in a mirror and in the cache."""

    kind: str  # GITHUB or PIP
    origin: str  # "owner/repo" or "package==version"
    commit: str  # 40 digits; "" for a wheel
    path: str
    sha256: str
    size: int  # bytes

    @property
    def location(self) -> str:
        return "/".join((self.kind, self.origin, self.path))


class Wheel(NamedTuple):
    """The one wheel of a package that is fetched, on every machine."""

    requirement: str
    platform: str
    python: str
    implementation: str
    size: int


class Input(NamedTuple):
    """value = pixel * scale + offset, per channel in the order of `colour`."""

    shape: Tuple[int, ...]
    colour: str
    scale: float
    offset: Tuple[float, ...]


class Network(NamedTuple):
    name: str
    roles: Tuple[str, ...]  # in the order of the pipeline: that of the stage that runs it, and of later ones that it fills
    sources: Tuple[Source, ...]
    licence: str  # SPDX
    licence_note: str
    input: Optional[Input]  # None for an asset
    outputs: Mapping[str, Tuple[int, ...]]
    decode: Mapping[str, Any]
    kind: str  # of converter
    options: Mapping[str, Any]  # of the converter

    @property
    def role(self) -> str:
        """Of the stage that runs it."""
        return self.roles[0]

    @property
    def is_asset(self) -> bool:
        return self.kind in ASSET_KINDS

    @property
    def size(self) -> int:
        """Bytes to fetch."""
        return sum(source.size for source in self.sources)


class Role(NamedTuple):
    """What a network does. `without`: what happens when there is none; empty: nothing works."""

    name: str
    candidates: Tuple[str, ...]
    without: str

    @property
    def required(self) -> bool:
        return not self.without


def meant(name: str, known: Iterable[str]) -> str:
    """How to go on after a name that is no network's."""
    near = nearest(name, known)
    return "did you mean {}?".format(near) if near else "`{}` names them".format(commands.command("models list"))


class Manifest(NamedTuple):
    roles: Tuple[Role, ...]
    networks: Mapping[str, Network]
    wheels: Mapping[str, Wheel]

    def network(self, name: str) -> Network:
        """Raises ConfigError that names the nearest network."""
        if name in self.networks:
            return self.networks[name]
        raise ConfigError("there is no network called {}: {}".format(name or "''", meant(name, self.networks)))

    def defaults(self) -> List[str]:
        """The preferred network of each role, and where that does the work of a later stage, too, the preferred one that does
        not: so each way of doing it is there.
        """
        names: List[str] = []
        for role in self.roles:
            alone = next((name for name in role.candidates if not self.is_shared(name)), role.candidates[0])
            names += dict.fromkeys((role.candidates[0], alone))
        return names

    def is_shared(self, name: str) -> bool:
        """Whether a network has more than one role."""
        return len(self.networks[name].roles) > 1

    def fills(self, names: Iterable[str], role: str) -> bool:
        """Whether one of these networks has this role, too."""
        return any(role in self.networks[name].roles for name in names)

    def members(self, requirement: str) -> List[Source]:
        """Every file that comes from this wheel."""
        return [s for n in self.networks.values() for s in n.sources if s.kind == PIP and s.origin == requirement]
