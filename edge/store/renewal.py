"""Engines that do not fit any more, as after an update of TensorRT: how they are rebuilt, and what a tracker does until then.

The tracker of the service checks its engines before it opens them. Where they do not fit it writes a request, which starts
nanoface-engines.service (`engines/build/unattended.py`), and waits until that takes the request away. What could not be
built is noted, with the release of TensorRT and the networks that it was tried for, and not asked for again until one of them
changes.
"""
import json
import os
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import Any, Callable, Dict, Mapping, NamedTuple, Tuple

from edge.core import clock
from edge.core.errors import EngineError
from edge.core.roles import TENSORRT, WITH_PLANS
from edge.host import commands
from edge.store import lock, plans, ways
from edge.store.models import StoredNetwork

REQUEST = "NANOFACE_ENGINES_REQUEST"  # environment: the request's path; only the units set it
PROGRESS = ".progress"  # behind the request's name: one line of text, what is being built
TRIED = "tried.json"  # in plans/
NEVER = "never"  # engines.rebuild
POLL_S = 0.2
REPORT_INTERVAL_S = 5.0
TAKEN_UP_S = 90.0  # a busy board may take so long to start the unit's program
ASK_S = 60.0
LONGEST_WHY = 160  # characters


class Need(NamedTuple):
    """What there is to be built."""

    tensorrt: str  # the release that is installed; "" where there is none or it cannot be asked
    networks: Dict[str, str]  # role -> name and hash of the network that it would use
    why: Tuple[str, ...]  # a line for each engine that is missing or does not fit

    def key(self) -> Dict[str, Any]:
        """What a failed build is remembered by."""
        return {"tensorrt": self.tensorrt, "networks": self.networks}


def need(home: str, config: Any) -> Need:
    """`config`: a Config. Looks at files alone, so that neither CUDA nor TensorRT takes memory from a build."""
    version = release() if config.models.runtime in WITH_PLANS else ""
    if not version:
        return Need("", {}, ())
    try:
        tuned = plans.chosen(home)
    except EngineError:
        tuned = {}
    used = ways.in_use(home, config, tuned, board=True)
    networks = {role: "{} {}".format(network.name, network.sha256) for role, network in used.items()}
    why = [_unfit(home, role, network, version) for role, network in used.items()]
    return Need(version, networks, tuple(text for text in why if text))


def _unfit(home: str, role: str, network: StoredNetwork, version: str) -> str:
    try:
        plan = plans.find(home, role, network.name)
        if plan is None:
            return "there is no plan of {}".format(network.name)
        built_for = plan.sidecar  # to ask for the GPU takes CUDA
        plans.check(plan, network.sha256, plans.Board(version, built_for["gpu"], built_for["compute_capability"]))
    except EngineError as e:
        return str(e).rpartition(": ")[0]
    return ""


def release() -> str:
    """Of TensorRT as it is installed, for this program: "8.2.1.8"; "" where it or pycuda is not there or does not load."""
    spec = find_spec(TENSORRT)
    if spec is None or find_spec("pycuda") is None:
        return ""
    try:
        with open(str(spec.origin), encoding="utf-8", errors="replace") as f:
            found = re.search(r"^__version__ *= *['\"]([0-9][0-9.]*)['\"]", f.read(), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1) if found else _release_by_import()


def _release_by_import() -> str:
    """From a process of its own, which frees the memory."""
    try:
        done = subprocess.run([sys.executable, "-c", "import tensorrt; print(tensorrt.__version__)"], timeout=ASK_S,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("ascii", "replace").strip() if done.returncode == 0 else ""


def settle(home: str, config: Any, environ: Mapping[str, str], waiting: Callable[[str], None],
           stopped: Callable[[], bool]) -> str:
    """Request the build of what does not fit, and wait for it: `waiting(text)` every few seconds.

    Why something still does not fit, with the cure; "" where nothing is wrong, or this is not the tracker of the service.
    """
    request = environ.get(REQUEST, "")
    wanted = need(home, config) if request else None
    if wanted is None or not wanted.why:
        return ""
    if config.engines.rebuild == NEVER:
        return _error_text(wanted, "engines.rebuild is never")
    failed = tried(home, wanted)
    if not failed and not _rebuilt(home, request, wanted.tensorrt, waiting, stopped):
        failed = "nanoface-engines.path did not start their build"
    if stopped():
        return ""
    left = need(home, config)
    return _error_text(left, failed or tried(home, left) or "their build was ended") if left.why else ""


def _error_text(left: Need, why: str) -> str:
    text = why if len(why) <= LONGEST_WHY else why[:LONGEST_WHY] + "..."  # the journal of the unit has all of it
    return "{} {} not fit TensorRT {} ({}): {}".format(
        len(left.why), "engine does" if len(left.why) == 1 else "engines do", left.tensorrt, text, commands.run("build"))


def _rebuilt(home: str, request: str, version: str, waiting: Callable[[str], None], stopped: Callable[[], bool]) -> bool:
    """False where no unit takes up the request."""
    try:
        with open(request, "w", encoding="ascii") as f:
            f.write(version + "\n")
    except OSError:
        return False
    reported_at, seen_at = None, clock.monotonic()
    while os.path.exists(request) and not stopped():
        now = clock.monotonic()
        if reported_at is None or now - reported_at >= REPORT_INTERVAL_S:
            reported_at = now
            seen_at = now if lock.is_held(home) else seen_at
            if now - seen_at > TAKEN_UP_S:
                forget_request(request)
                return False
            waiting("the engines are rebuilt for TensorRT {}{}".format(version, _progress(request)))
        time.sleep(POLL_S)
    return True


def _progress(request: str) -> str:
    try:
        with open(request + PROGRESS, encoding="utf-8", errors="replace") as f:
            return ": " + f.read().strip()
    except OSError:
        return ""


def forget_request(request: str) -> None:
    for path in (request + PROGRESS, request):
        try:
            os.unlink(path)
        except OSError:
            pass  # it is not there


def tried(home: str, wanted: Need) -> str:
    """How the build of just this ended; "" where it was not tried."""
    try:
        note = plans.read_object(os.path.join(plans.plans_dir(home), TRIED), "")
    except EngineError:
        note = None
    same = note is not None and {key: note.get(key) for key in ("tensorrt", "networks")} == wanted.key()
    return str(note.get("failed") or "their build failed") if note is not None and same else ""


def note_of(wanted: Need, failed: str) -> bytes:
    """What tried() reads."""
    return (json.dumps(dict(wanted.key(), failed=failed), indent=1, sort_keys=True) + "\n").encode("ascii")
