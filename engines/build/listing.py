"""`nanoface build --list`: which plans there are, and what is stale and why. Builds nothing and needs no TensorRT."""
import os
import re
import tempfile
from typing import List, Optional, Sequence, Tuple

from edge.core.errors import ModelError
from edge.core.roles import ROLES
from edge.host.stop import Stop
from edge.store import plans
from engines.build.boardfacts import Facts
from engines.build.context import ask_facts, network_of
from engines.build.cubin import is_current
from engines.build.report import BuildReport, built_text
from engines.build.selection import BuildOptions, Wanted, config_of
from engines.build.target import stale, target_of
from engines.manifest.entries import Manifest

_FILE = re.compile(r"({})-([a-z][a-z0-9_]*)\.plan\Z".format("|".join(ROLES)))


def run_list(home: str, manifest: Manifest, options: BuildOptions, wanted: Sequence[Wanted], report: BuildReport) -> int:
    """One line for each plan that would be used, and for each other one that lies there. Always 0."""
    facts = _facts(options.root, report)
    shown: List[Tuple[str, str]] = []
    for one in wanted:
        name = one.name
        try:
            name = network_of(home, manifest, options, one)
            shown.append((one.role, name))
            report.row(one.role, name, _state(home, one.role, name, options, facts))
        except ModelError as e:
            report.row(one.role, name or "-", "cannot be built: {}".format(e))
    for role, name in _others(home, shown) if not options.only else []:
        try:
            report.row(role, name, _state(home, role, name, options, facts) + " (not what would be used)")
        except ModelError as e:
            report.row(role, name, "cannot be built: {}".format(e))
    if facts is not None:
        current = is_current(home, facts.compute_capability)
        report.line("crop kernel: {}".format("up to date" if current else "missing or stale"))
    return 0


def _facts(root: str, report: BuildReport) -> Optional[Facts]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            return ask_facts(folder, root, Stop())
        except ModelError as e:
            report.line(str(e))
    report.line("so only the files are looked at")
    return None


def _state(home: str, role: str, name: str, options: BuildOptions, facts: Optional[Facts]) -> str:
    why = stale(home, target_of(home, role, name, config_of(home, options, role, name)), facts)
    if why == "missing":
        return "missing: {}".format(plans.cure(name))
    if why is not None:
        return "stale: {}".format(why)
    plan = plans.find(home, role, name)
    return "up to date: {}".format(built_text(plan.sidecar)) if plan is not None else "missing"


def _others(home: str, shown: Sequence[Tuple[str, str]]) -> List[Tuple[str, str]]:
    try:
        names = sorted(os.listdir(plans.plans_dir(home)))
    except OSError:
        return []
    found = [(match.group(1), match.group(2)) for match in map(_FILE.match, names) if match]
    return [one for one in found if one not in shown]
