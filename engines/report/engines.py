"""Each network alone on this machine, for a report: right or wrong, how long, and how long it was estimated to take."""
from typing import Dict, List, Optional, Tuple

from edge.app.networks import Networks, Report
from edge.config.load import Config
from edge.core import clock
from edge.core.contracts import Runner
from edge.core.errors import EdgeError
from edge.core.roles import CAN_BE_OFF, ROLES
from edge.doctor.machine import Machine
from edge.store.models import StoredNetwork
from engines.estimate.command import engine_ms
from engines.verify.timing import Timed, median, spread, time_runner
from engines.verify.verify import verify_runner

OPTIONAL = CAN_BE_OFF
REQUIRED = tuple(role for role in ROLES if role not in OPTIONAL)
_COMPARED = "{:16} {:>24}  {:>8}  {}"
_VERIFIED = "  {:24} {:11} median {:<10.4g} worst {:<10.4g} tolerance {:<8.4g} {}"


class Engines:
    """Opens one network after the other, as a run would; keeps the times for the sections that follow."""

    def __init__(self, config: Config, home: str, note: Report) -> None:
        """`note` gets a run's notes on its choice."""
        self.timed: Dict[str, Timed] = {}  # role -> times
        self._filled: Dict[str, str] = {}  # role -> network of an earlier one that fills it as well
        self._config, self._home, self._note = config, home, note

    def lines(self, role: str) -> List[str]:
        """Raises EdgeErrors where the network cannot be run at all."""
        if role in self._filled:
            return ["filled by {}".format(self._filled[role])]
        candidates, networks = getattr(self._config.models, role), Networks(self._config, self._note)
        if role in REQUIRED:
            found: Optional[Tuple[Runner, StoredNetwork]] = networks.required(role, candidates)
        else:
            found = networks.optional(role, candidates, "there is nothing to time")
        if found is None:
            return ["switched off, or not built"]
        runner, stored = found
        self._filled.update((other, stored.name) for other in stored.also)
        if stored.interface is not None:
            return ["{}, a network of the user's own, like {}: neither timed nor verified".format(stored.name, stored.like)]
        try:
            began = clock.monotonic()
            runner.open()
            lines = ["{} on {}, opened in {:.1f} s".format(stored.name, runner.backend, clock.monotonic() - began)]
            lines += ["  " + runner.note] if runner.note else []
            timed = time_runner(runner, stored)
            self.timed[role] = timed
            lines += ["  host    {}".format(spread(timed.host_ms))]
            lines += ["  device  {}".format(spread(timed.device_ms) if timed.device_ms else "not given by this runtime")]
            return lines + _verified(runner, stored, self._home)
        finally:
            runner.close()


def _verified(runner: Runner, stored: StoredNetwork, home: str) -> List[str]:
    try:
        return [_VERIFIED.format(d.quantity, d.unit, d.median, d.worst, d.tolerance, "agrees" if d.within else "WRONG")
                for d in verify_runner(runner, stored, home)]
    except EdgeError as e:
        return ["  not verified: {}".format(e)]


def against_estimate(timed: Dict[str, Timed], home: str, board: str) -> List[str]:
    if not timed:
        return ["no network was timed"]
    lines = ["estimated for {}: optimistic, middle, pessimistic; measured: medians; all in ms".format(board),
             _COMPARED.format("network", "estimated device", "device", "host, crops included")]
    for each in timed.values():
        try:
            expected = "  ".join("{:.2f}".format(ms) for ms in engine_ms(home, each.network, board))
        except EdgeError as e:
            expected = "({})".format(e)
        lines.append(_COMPARED.format(each.network, expected, median(each.device_ms), median(each.host_ms)))
    return lines


def board_name(machine: Machine) -> str:
    """The board of the estimate that this one's power mode makes it."""
    return "nano-5w" if "pmode:0001" in machine.read("/var/lib/nvpmodel/status") else "nano"
