"""What this machine has for nanoface, and the cure for each thing that is missing or would make it slow."""
from typing import Any, Dict, List, Mapping, Optional, Sequence

from edge.config.file import SYSTEM_FILE, choose_file, own_file
from edge.config.load import Config
from edge.core.errors import EngineError, ModelError
from edge.core.redact import hide, one_line
from edge.core.roles import DETECT, FILLS_TOO, IRIS, NETWORKS, OFF, ONNXRUNTIME, POSE, TENSORRT, WITH_PLANS
from edge.doctor.board import check_board
from edge.doctor.cameras import check_cameras
from edge.doctor.gstreamer import check_gstreamer, kind_of
from edge.doctor.machine import FAIL, OK, WARN, Finding, Machine, is_jetson
from edge.doctor.outputs import check_outputs
from edge.doctor.packages import Software, check_numpy, check_opencv, check_python, check_runtimes
from edge.doctor.plans import check_plans
from edge.doctor.service import check_jtop, check_service
from edge.doctor.system import check_films, check_folders, check_source, check_system_logs, check_time
from edge.host import commands
from edge.store import models, plans, ways
from edge.store.own import check_file, name_of

PYCUDA = "pycuda"
WITHOUT = {POSE: "the pose comes from the mesh alone", IRIS: "there is no iris, blink or gaze"}  # what still runs


def examine(config: Config, machine: Machine, software: Software) -> List[Finding]:
    """All findings; what the others depend on comes first."""
    jetson, home = is_jetson(machine), models.home_dir(machine.environ)
    findings = [check_python(software.python), check_numpy(software),
                check_opencv(software, jetson, bool(kind_of(config.source.spec)))]
    board = config.models.runtime in WITH_PLANS and None not in (software.version_of(TENSORRT), software.version_of(PYCUDA))
    findings += check_runtimes(software, jetson, config.models.runtime) + check_models(config, machine, board)
    findings += check_plans(config, home, software.version_of(TENSORRT)) + check_folders(config, machine)
    findings += check_system_logs(machine) + [check_films()]
    findings += check_cameras(machine, config.source.spec) + check_source(config, machine)
    findings += check_gstreamer(config, machine, jetson)
    findings += check_board(machine) + ([check_jtop(machine, software.version_of("jtop"))] if jetson else [])
    findings += check_outputs(config, machine, software.version_of) + check_service(machine) + [check_time(machine)]
    return [f._replace(text=hide(f.text), cure=hide(f.cure)) for f in findings]


def as_json(findings: Sequence[Finding]) -> Dict[str, Any]:
    """`can_run`: nothing stops the service."""
    counts = {state: sum(f.state == state for f in findings) for state in (OK, WARN, FAIL)}
    return {"schema": 1, "can_run": not counts[FAIL], "counts": counts, "findings": [f._asdict() for f in findings]}


def lines(findings: Sequence[Finding]) -> List[str]:
    """One for each finding, one for its cure, and the sum of it."""
    report = []
    for finding in findings:
        report.append("{:<5} {:<13} {}".format(finding.state, finding.name, one_line(finding.text)))
        if finding.cure:
            report.append(" " * 20 + "-> " + one_line(finding.cure))
    counts = as_json(findings)["counts"]
    if counts[FAIL]:
        return report + ["nanoface cannot run here: {} to repair, {} to look at".format(counts[FAIL], counts[WARN])]
    return report + ["nanoface can run here" + (": {} to look at".format(counts[WARN]) if counts[WARN] else "")]


def check_config(path: Optional[str], machine: Machine) -> Finding:
    """Which file of the configuration was read; `path` is that of --config."""
    chosen = choose_file(path, machine.environ)
    if chosen is not None:
        return Finding("config", OK, "{} ({})".format(chosen.path, chosen.because))
    places = [place for place in (own_file(machine.environ), SYSTEM_FILE) if place]
    return Finding("config", OK, "the defaults: there is no {}".format(" and no ".join(places)))


def check_models(config: Config, machine: Machine, board: bool = False) -> List[Finding]:
    """Of each role: which network would be used, whether its files are whole. `board`: whether plans are."""
    home = models.home_dir(machine.environ)
    try:
        tuned = plans.chosen(home)
    except EngineError:  # reported by check_plans()
        tuned = {}
    used = ways.in_use(home, config, tuned, board)
    filled = {role: network.name for network in used.values() for role in network.also if role not in used}
    for own, like in ((config.models.own(role), getattr(config.models, role + "_like")) for role in NETWORKS):
        filled.update((role, name_of(own)) for role in FILLS_TOO.get(like, ()) if own and role not in used)
    return [Finding("model " + role, OK, "{} fills it as well".format(filled[role])) if role in filled else
            _check_role(home, config, role, tuned, board) for role in NETWORKS]


def _check_role(home: str, config: Config, role: str, tuned: Mapping[str, str], board: bool) -> Finding:
    name = "model " + role
    if getattr(config.models, role) == (OFF,):
        return Finding(name, OK, "switched off")
    own = config.models.own(role)
    if own:
        return _check_own(role, own, getattr(config.models, role + "_like"))
    try:
        names = ways.preferred(home, config, role, tuned, board)
        known = models.read_index(home)
        if role in WITHOUT and not any(n in known for n in names):
            text = "{} is not fetched: {}".format(" or ".join(names), WITHOUT[role])
            return Finding(name, WARN, text, _fetch(names))
        network, skipped = models.first_available(home, names)
        if role == DETECT and config.models.detector_scale is not None:
            if board and plans.find(home, role, network.name) is not None:
                return Finding(name, FAIL, "{} has an engine, which has one size of its input: models.detector_scale needs a "
                               "CPU's runtime".format(network.name),
                               "leave models.detector_scale out, or models.runtime: " + ONNXRUNTIME)
            models.locate(home, network.name, any_size=True)
    except ModelError as e:
        text, _, cure = str(e).rpartition(": ")  # a ModelError ends with its cure
        return Finding(name, FAIL, text, cure)
    if skipped:
        text = "{}, since {} is not fetched".format(network.name, " and ".join(skipped))
        return Finding(name, WARN, text, _fetch(skipped))
    return Finding(name, OK, network.name)


def _check_own(role: str, path: str, like: str) -> Finding:
    try:
        check_file(path)
    except ModelError as e:
        cure = "models.{} in the configuration: name another file, or {}".format(role, like)
        return Finding("model " + role, FAIL, str(e), cure)
    return Finding("model " + role, OK, "{}, a file of your own, like {}".format(name_of(path), like))


def _fetch(names: Sequence[str]) -> str:
    return commands.command("models fetch " + names[0])
