"""What `nanoface build` is asked for: the options, and the networks that they mean."""
import json
import os
from collections import OrderedDict
from typing import Any, Container, Dict, List, Mapping, NamedTuple, NoReturn, Optional, Sequence, Tuple

from edge.core.errors import ConfigError, EngineError
from edge.core.roles import ROLES
from edge.host.reading import read_json
from edge.store import plans
from engines.build.builder import TACTICS
from engines.build.target import DEFAULT_TACTICS, FP16, FP32, BuildConfig
from engines.manifest.entries import Manifest, meant


class BuildOptions(NamedTuple):
    """The options of the command line; the defaults are for a Nano."""

    only: Tuple[str, ...] = ()  # roles or networks; none: all roles
    networks: Tuple[str, ...] = ()  # these instead of what their roles would use; with tuning: the candidates
    all_networks: bool = False  # tuning: every network of the role that was fetched
    fp32: bool = False
    workspace_mb: int = 256
    timeout_s: float = 1800.0  # for one network, or one variant of it when tuning
    tactics: Optional[Tuple[str, ...]] = None  # None: as tuned, else cublas and cudnn; (): TensorRT's own alone
    force: bool = False
    list_only: bool = False
    lint: bool = True
    untuned: bool = False  # forget what was tuned
    candidates: Mapping[str, Sequence[str]] = {}  # role -> networks as configured; none: the manifest's
    named: Container[str] = ()  # keys of the configuration that the user set
    root: str = "/"  # where /etc and /proc lie


class Wanted(NamedTuple):
    role: str
    name: str  # of the network; "" for the one that would be used
    named: bool  # the user named it or its role: then it is an error that it is not there


def selection(manifest: Manifest, options: BuildOptions) -> List[Wanted]:
    """In the order of the roles. Raises ConfigError for unknown names."""
    for name in options.only + options.networks:
        if name in ROLES and name in options.only:
            continue
        if name not in manifest.networks or manifest.networks[name].role not in ROLES:
            _unknown(name, manifest, ROLES if name in options.only else ())
    for tactic in options.tactics or ():
        if tactic not in TACTICS:
            raise ConfigError("there are no tactics of {}: there are {}, or none".format(tactic, ", ".join(TACTICS)))
    found = []
    for role in ROLES:
        only = [n for n in options.only if n not in ROLES and manifest.networks[n].role == role]
        if options.only and not only and role not in options.only:
            continue
        names = only or [n for n in options.networks if manifest.networks[n].role == role]
        if not names and role not in options.only and options.candidates and role not in options.candidates:
            continue  # switched off
        found += [Wanted(role, name, True) for name in OrderedDict.fromkeys(names)] or [Wanted(role, "", role in options.only)]
    return found


def _unknown(name: str, manifest: Manifest, roles: Sequence[str]) -> NoReturn:
    known = list(roles) + [n for n, network in manifest.networks.items() if network.role in ROLES]
    raise ConfigError("there is no {}network called {}: {}".format("role and no " if roles else "", name, meant(name, known)))


def config_of(home: str, options: BuildOptions, role: str, network: str) -> BuildConfig:
    """As the options say, else as it was tuned for this network, else FP16 with all tactics. Raises EngineError."""
    tuned = {} if options.untuned else tuned_config(home, role, network)
    precision = FP32 if options.fp32 else tuned.get("precision", FP16)
    tactics = tuned.get("tactic_sources", DEFAULT_TACTICS) if options.tactics is None else options.tactics
    return BuildConfig(precision, tuple(tactics), options.workspace_mb, tuned.get("dense") is True)


def tuned_config(home: str, role: str, network: str) -> Dict[str, Any]:
    """What `--tune` chose for a network; empty where it did not, or where that cannot be read."""
    config = _choice(home)["ways"].get(role, {})
    sound = isinstance(config, dict) and config.get("network") == network and config.get("precision") in (FP16, FP32)
    tactics = config.get("tactic_sources") if sound else None
    return config if isinstance(tactics, list) and all(t in tuple(TACTICS) for t in tactics) else {}


def choose(home: str, role: str, network: str, config: BuildConfig) -> str:
    """The text of chosen.json with one more role."""
    choice = _choice(home)
    choice["roles"][role] = network
    choice["ways"][role] = {"network": network, "precision": config.precision, "tactic_sources": list(config.tactics),
                            "dense": config.dense}
    return json.dumps(choice, indent=1, sort_keys=True) + "\n"


def _choice(home: str) -> Dict[str, Any]:
    """chosen.json; as if there were none where it is damaged."""
    empty: Dict[str, Any] = {"schema": plans.SCHEMA, "roles": {}, "ways": {}}
    try:
        roles = plans.chosen(home)
        ways = read_json(os.path.join(plans.plans_dir(home), plans.CHOICE)).get("ways", {})
    except (OSError, ValueError, EngineError):
        return empty
    return dict(empty, roles=roles, ways=ways if isinstance(ways, dict) else {})
