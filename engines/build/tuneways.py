"""Which networks a tuning tries against each other, and which of the ways to the same values is the cheapest.

Points and irises can come of two networks, or of one that fills both roles. So what is compared are ways: the fastest plan
of each of their networks, and what those cost a frame together.
"""
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from edge.core.errors import ModelError
from edge.core.roles import ROLES
from edge.store.models import read_index
from engines.build.context import network_of
from engines.build.selection import BuildOptions, Wanted, selection
from engines.build.target import Target
from engines.manifest.entries import Manifest


class Trial(NamedTuple):
    """One variant that was tried. `sidecar` is empty where it failed, for the reason in `failure`."""

    target: Target
    sidecar: Mapping[str, Any]
    plan: str
    failure: str
    chosen: bool = False

    @property
    def median_ms(self) -> float:
        """Of the GPU's own time; of the whole where it gave none."""
        measured = self.sidecar["measured"]
        return float((measured.get("device_ms") or measured["host_ms"])["p50"])

    @property
    def whole_ms(self) -> float:
        """Of a call of the engine: the GPU's time, and what the host is about before and after it."""
        return float(self.sidecar["measured"]["host_ms"]["p50"])

    @property
    def verified(self) -> bool:
        return self.sidecar.get("verified") is not None

    def record(self) -> Dict[str, Any]:
        """For tuning.json; what is not known is null."""
        measured = self.sidecar.get("measured") or {}
        return {
            "role": self.target.stored.role, "network": self.target.stored.name, "precision": self.target.precision,
            "tactic_sources": list(self.target.config.tactics), "dense": self.target.config.dense,
            "device_ms": measured.get("device_ms"), "host_ms": measured.get("host_ms"),
            "verified": self.sidecar.get("verified"), "size": self.sidecar.get("size"),
            "build_s": self.sidecar.get("build_s"),
            "graphs": self.sidecar.get("graphs"), "failure": self.failure or None, "chosen": self.chosen,
        }


def fastest(trials: Sequence[Trial]) -> Optional[Trial]:
    """By the GPU's own median. Those that were compared with ONNX Runtime go before those that could not be."""
    sound = [trial for trial in trials if trial.sidecar]
    return min(sound, key=lambda trial: (not trial.verified, trial.median_ms), default=None)


class Way(NamedTuple):
    """Plans that give the values of some roles together, each the fastest of its network."""

    parts: Sequence[Trial]
    missing: Sequence[str] = ()  # roles that it has no plan for

    @property
    def device_ms(self) -> float:
        return sum(part.median_ms for part in self.parts)

    @property
    def whole_ms(self) -> float:
        return sum(max(part.whole_ms, part.median_ms) for part in self.parts)

    def record(self, chosen: bool) -> Dict[str, Any]:
        """For tuning.json."""
        return {"networks": [part.target.stored.name for part in self.parts], "chosen": chosen,
                "variants": [part.target.config.label for part in self.parts], "missing": list(self.missing),
                "device_ms": round(self.device_ms, 3), "host_ms": round(self.whole_ms - self.device_ms, 3),
                "together_ms": round(self.whole_ms, 3)}


def ways_of(role: str, trials: Mapping[str, Sequence[Trial]]) -> List[Way]:
    """The best first: those that lack nothing, that were compared with ONNX Runtime, that cost the least. `trials`: of
    `role`, and of each later one that some of its networks fill.
    """
    found = []
    names: List[str] = []
    for trial in trials[role]:
        name, best = trial.target.stored.name, fastest([t for t in trials[role] if t.target.stored == trial.target.stored])
        if best is None or name in names:
            continue
        names.append(name)
        others = {other: fastest(trials[other]) for other in trials if other not in best.target.stored.also + (role,)}
        found.append(Way([best] + [one for one in others.values() if one is not None],
                         [other for other, one in others.items() if one is None]))
    return sorted(found, key=lambda way: (len(way.missing), not all(part.verified for part in way.parts), way.whole_ms))


class Candidates(NamedTuple):
    """The networks that are tried for a role."""

    names: Tuple[str, ...]  # what the user named, else what a run would use; none where it cannot be had
    rivals: Tuple[str, ...] = ()  # others that are tried as well, where they can be
    named: bool = False  # the user named the role or its network: then it is an error that it is not there
    failure: str = ""  # why there is none


def tried(home: str, manifest: Manifest, options: BuildOptions) -> Dict[str, Candidates]:
    """By role. Ways are compared unless the user chose networks or roles; a later role that some candidates fill and others do
    not is tuned with them, and one that all of them fill is left out unless the user named it.
    """
    wanted: Dict[str, List[Wanted]] = {}
    for one in selection(manifest, options):
        wanted.setdefault(one.role, []).append(one)
    found: Dict[str, Candidates] = {}
    for role in ROLES:
        if role in _off(options):
            continue
        sets = [manifest.networks[name].roles for one in found.values() for name in one.names + one.rivals]
        filling, own = [role in roles for roles in sets], "models." + role in options.named
        named = own or any(one.named for one in wanted.get(role, ()))
        if role not in wanted and (own or not any(filling) or _all_fill(manifest, found, role)):
            continue
        if not named and _all_fill(manifest, found, role):
            continue
        found[role] = _candidates(home, manifest, options, role, wanted.get(role) or [Wanted(role, "", False)])
    return found


def _all_fill(manifest: Manifest, found: Mapping[str, Candidates], role: str) -> bool:
    """Whether there is an earlier role all of whose candidates fill this one, too."""
    names = [one.names + one.rivals for one in found.values()]
    return any(each and all(role in manifest.networks[name].roles for name in each) for each in names)


def _candidates(home: str, manifest: Manifest, options: BuildOptions, role: str, ones: Sequence[Wanted]) -> Candidates:
    named = any(one.named for one in ones)
    try:
        names = tuple(network_of(home, manifest, options, one) for one in ones)
    except ModelError as e:
        return Candidates((), named=named, failure=str(e))
    known: Sequence[str] = next(r.candidates for r in manifest.roles if r.name == role)
    if not options.all_networks:
        known = options.candidates.get(role, known)
    built = [name for name in known if name in manifest.networks and name in read_index(home) and name not in names]
    if not options.all_networks:
        ways = {manifest.networks[name].roles for name in names}
        others = {manifest.networks[name].roles: name for name in reversed(built)}  # the first of each way
        chosen = named or "models." + role in options.named
        built = [] if chosen else [name for roles, name in others.items() if roles not in ways]
    return Candidates(names, tuple(built), named)


def _off(options: BuildOptions) -> List[str]:
    return [role for role in ROLES if options.candidates and role not in options.candidates]


def contested(manifest: Manifest, found: Mapping[str, Candidates], role: str, options: BuildOptions) -> List[str]:
    """Later roles that some of the candidates for `role` fill; they are tuned with it. Not those that the user gave a network:
    that runs whatever fills them.
    """
    filled = {other for name in found[role].names + found[role].rivals for other in manifest.networks[name].roles}
    return [other for other in found if other != role and other in filled and "models." + other not in options.named]
