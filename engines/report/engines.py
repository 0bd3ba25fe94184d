"""Each network alone on this machine, for a report: right or wrong, how long, and how long it was estimated to take."""
import importlib
from importlib.util import find_spec
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from edge.app.networks import Networks, Report
from edge.config.load import Config
from edge.core import clock
from edge.core.contracts import Runner
from edge.core.errors import EdgeError, EngineError
from edge.core.figures import median, percentile
from edge.doctor.machine import Machine
from edge.store.models import StoredNetwork
from engines.verify import stills
from engines.verify.verify import verify_runner

REQUIRED, OPTIONAL = ("detect", "align"), ("pose", "iris")
WARM_UP, MOST_RUNS, LONGEST_S = 5, 100, 3.0
ESTIMATE = "engines.estimate.command"
_COMPARED = "{:16} {:>24}  {:>8}  {}"
_VERIFIED = "  {:24} {:11} median {:<10.4g} worst {:<10.4g} tolerance {:<8.4g} {}"


class Timed(NamedTuple):
    """Milliseconds of one network; `device_ms` is empty where the runtime does not tell."""

    network: str
    backend: str
    host_ms: Sequence[float]
    device_ms: Sequence[float]


class Engines:
    """Opens one network after the other, as a run would; keeps the times for the sections that follow."""

    def __init__(self, config: Config, home: str, note: Report) -> None:
        """`note` gets what a run would say of its choice."""
        self.timed: Dict[str, Timed] = {}  # role -> times
        self._config, self._home, self._note = config, home, note

    def lines(self, role: str) -> List[str]:
        """Raises EdgeErrors where the network cannot be run at all."""
        candidates, networks = getattr(self._config.models, role), Networks(self._config, self._note)
        if role in REQUIRED:
            found: Optional[Tuple[Runner, StoredNetwork]] = networks.required(role, candidates)
        else:
            found = networks.optional(role, candidates, "there is nothing to time")
        if found is None:
            return ["switched off, or not built"]
        runner, stored = found
        try:
            began = clock.monotonic()
            runner.open()
            told = ["{} on {}, opened in {:.1f} s".format(stored.name, runner.backend, clock.monotonic() - began)]
            told += ["  " + runner.note] if runner.note else []
            timed = time_runner(runner, role, stored.name)
            self.timed[role] = timed
            told += ["  host    {}".format(spread(timed.host_ms))]
            told += ["  device  {}".format(spread(timed.device_ms) if timed.device_ms else "not told by this runtime")]
            return told + _verified(runner, stored, self._home)
        finally:
            runner.close()


def _verified(runner: Runner, stored: StoredNetwork, home: str) -> List[str]:
    try:
        return [_VERIFIED.format(d.quantity, d.unit, d.median, d.worst, d.tolerance, "agrees" if d.within else "WRONG")
                for d in verify_runner(runner, stored, home)]
    except EdgeError as e:
        return ["  not verified: {}".format(e)]


def time_runner(runner: Runner, role: str, network: str) -> Timed:
    """An open runner from the frame to the outputs, crops included, on the portrait; at most LONGEST_S long."""
    image, crops = stills.live_view(role, network)
    for _ in range(WARM_UP):
        runner.submit(image, crops).result()
    runner.take_device_ms()
    host_ms: List[float] = []
    until = clock.monotonic() + LONGEST_S
    while len(host_ms) < MOST_RUNS and clock.monotonic() < until:
        began = clock.monotonic()
        runner.submit(image, crops).result()
        host_ms.append(1000.0 * (clock.monotonic() - began))
    return Timed(network, runner.backend, host_ms, list(runner.take_device_ms()))


def spread(times_ms: Sequence[float]) -> str:
    return "p50 {:.2f} ms, p95 {:.2f} ms, most {:.2f} ms ({} runs)".format(
        median(times_ms), percentile(times_ms, 95.0), max(times_ms), len(times_ms))


def against_estimate(timed: Dict[str, Timed], home: str, board: str) -> List[str]:
    """Raises EngineError where this copy cannot estimate."""
    if find_spec(ESTIMATE) is None:
        raise EngineError("this copy of nanoface has no estimate")
    if not timed:
        return ["no network was timed"]
    engine_ms: Any = importlib.import_module(ESTIMATE).engine_ms
    told = ["estimated for {}: optimistic, middle, pessimistic; measured: medians; all in ms".format(board),
            _COMPARED.format("network", "estimated device", "device", "host, crops included")]
    for each in timed.values():
        try:
            expected = "  ".join("{:.2f}".format(ms) for ms in engine_ms(home, each.network, board))
        except EdgeError as e:
            expected = "({})".format(e)
        told.append(_COMPARED.format(each.network, expected, _median(each.device_ms), _median(each.host_ms)))
    return told


def _median(times_ms: Sequence[float]) -> str:
    return "{:.2f}".format(median(times_ms)) if times_ms else "-"


def board_name(machine: Machine) -> str:
    """The board of the estimate that this one's power mode makes it."""
    return "nano-5w" if "pmode:0001" in machine.read("/var/lib/nvpmodel/status") else "nano"
