"""What every build of one command shares: the lock, the signals, the board's facts, one build in a process of its own."""
import os
import tempfile
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from edge.core import clock
from edge.core.errors import EngineError, ModelError
from edge.core.roles import ROLES
from edge.host.disk import LOCK, StorageError, one_builder, part_folder, remove_leftovers, storage_error
from edge.host.stop import Stop, stopped_by_signals
from edge.store import lock
from edge.store.models import read_index
from edge.store.plans import plans_dir
from engines.build import boardfacts
from engines.build.boardfacts import Facts
from engines.build.child import BUILD, FACTS
from engines.build.parent import BuildCallbacks, Crashed, run_child
from engines.build.report import BuildReport
from engines.build.selection import BuildOptions, Wanted, selection
from engines.build.target import Target, default_network
from engines.manifest.entries import Manifest

TIMING_CACHE = "timing.cache"
ASK_LIMIT_S = 300.0  # the first start of CUDA from a slow card
LITTLE_MB = 1200  # of memory and swap: a build of one of our networks may need as much
SCRATCH = "build"
SERVICE_HOME = "/opt/nanoface/current/home"


class BuildContext(NamedTuple):
    """Given to each build of one command."""

    home: str
    options: BuildOptions
    facts: Facts
    folder: str  # for what is in the making
    stop: Stop
    report: BuildReport


@contextmanager
def build_context(home: str, options: BuildOptions, report: BuildReport) -> Iterator[BuildContext]:
    """The lock, the signals, a scratch folder and the board's facts. Raises EngineError without TensorRT.

    Where there is no lock yet, no build runs: then the facts are asked first, so that a refusal leaves nothing behind.
    """
    def waiting() -> None:
        report.line("another nanoface builds in {}: waiting for it".format(plans_dir(home)))

    stop = Stop()
    refuse_beside_tracker(home, SERVICE_HOME)
    facts: Optional[Facts] = None
    if not os.path.lexists(os.path.join(plans_dir(home), LOCK)):
        with stopped_by_signals(stop), tempfile.TemporaryDirectory() as folder:
            facts = ask_facts(folder, options.root, stop)
    with one_builder(plans_dir(home), waiting):
        remove_leftovers(plans_dir(home))
        with stopped_by_signals(stop), part_folder(plans_dir(home), SCRATCH) as folder:
            facts = facts or ask_facts(folder, options.root, stop)
            _advise(options.root, report)
            try:
                yield BuildContext(home, options, facts, folder, stop, report)
            finally:
                report.end_progress()


def refuse_beside_tracker(*homes: str) -> None:
    """Raises EngineError where a tracker runs with the engines of one of these: a board has no memory for both."""
    used = [home for home in homes if lock.in_use(home)]
    if used:
        raise EngineError("a tracker is running with the engines of {}, and the memory does not do for both: stop it first "
                          "(sudo systemctl stop nanoface), and start it when the engines are built".format(used[0]))


def ask_facts(folder: str, root: str, stop: Stop) -> Facts:
    """Of a process of its own: this one stays small, so that the builds have the memory. Raises EngineError."""
    ignored = BuildCallbacks(lambda text: None, lambda step, elapsed_s: None, lambda severity, text: None)
    try:
        return Facts(*run_child({"action": FACTS, "root": root}, folder, stop, ignored, ASK_LIMIT_S)["facts"])
    except Crashed as e:
        raise EngineError("TensorRT and CUDA cannot be asked for their versions: {}".format(e)) from e


def build_one(context: BuildContext, target: Target, plan: str, runs: int, callbacks: BuildCallbacks) -> Dict[str, Any]:
    """Build, verify and measure in a fresh process; the sidecar. The plan then lies at `plan`, on the disk of plans/.

    Raises ModelError or EngineError for this plan, StorageError, KeyboardInterrupt.
    """
    cache, renewed = os.path.join(plans_dir(context.home), TIMING_CACHE), os.path.join(context.folder, TIMING_CACHE)
    request = {
        "action": BUILD, "root": context.options.root, "home": context.home, "role": target.stored.role,
        "network": target.stored.name, "plan": plan, "precision": target.precision, "flags": target.flags, "runs": runs,
        "timing_cache": cache, "renewed_timing_cache": renewed,
        "built_at": datetime.fromtimestamp(clock.wall(), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    try:
        sidecar: Dict[str, Any] = run_child(
            request, context.folder, context.stop, callbacks, context.options.timeout_s)["sidecar"]
    except Crashed as e:
        if e.by_fault:  # should the cache be what TensorRT stumbles over, the next build is free of it
            remove(cache)
            remove(renewed)
        raise
    finally:
        with suppress(OSError):  # there is none, or it stays behind, which costs the next build some time
            os.replace(renewed, cache)  # also of a build that then failed: what was measured stays true
    return sidecar


def selected(home: str, manifest: Manifest, options: BuildOptions) -> List[Wanted]:
    """selection() without the roles that the network of an earlier one fills: a run has no network for them either, unless
    the user named them.
    """
    found: List[Wanted] = []
    names: List[str] = []
    for one in selection(manifest, options):
        if manifest.fills(names, one.role) and not one.named and "models." + one.role not in options.named:
            continue
        found.append(one)
        with suppress(ModelError):  # reported where it is to be built
            names.append(network_of(home, manifest, options, one))
    return found


def network_of(home: str, manifest: Manifest, options: BuildOptions, wanted: Wanted) -> str:
    """The network that was named, else the one that would be used. Raises ModelError where none was fetched."""
    return wanted.name or default_network(
        home, manifest, wanted.role, options.candidates.get(wanted.role, ()), options.untuned,
        "models." + wanted.role in options.named, _off(options))


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
    index = read_index(home)
    built = [name for name in known if name in manifest.networks and name in index and name not in names]
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


def _advise(root: str, report: BuildReport) -> None:
    """What makes builds fail, reported before the first one."""
    if boardfacts.service_is_active():
        report.line("the service runs and holds the GPU's memory: better stop it first (sudo systemctl stop nanoface)")
    free_mb = boardfacts.free_mb(root)
    if free_mb is not None and free_mb < LITTLE_MB:
        report.line("only {} MB of memory and swap are free: stop the desktop (sudo systemctl isolate multi-user.target) or "
                    "add swap, should a build be killed".format(free_mb))


def crop_kernel(context: BuildContext) -> None:
    """Not worth a failure: the runners can fill the inputs without it."""
    from engines.build.cubin import build_cubin

    try:
        build_cubin(context.home, context.facts.compute_capability, context.report, context.options.force)
    except StorageError:
        raise
    except ModelError as e:
        context.report.line("crop kernel: not built, {}".format(e))


def remove(path: str) -> None:
    """Raises StorageError."""
    try:
        os.remove(path)
    except FileNotFoundError:
        pass
    except OSError as e:
        raise storage_error(path, e) from e
