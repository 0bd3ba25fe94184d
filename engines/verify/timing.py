"""How long one network takes on this machine, from the frame to the outputs."""
from typing import List, NamedTuple, Sequence

from edge.core import clock, figures
from edge.core.contracts import Runner
from edge.store.models import StoredNetwork
from engines.verify import stills

WARM_UP, MOST_RUNS, LONGEST_S = 5, 100, 3.0


class Timed(NamedTuple):
    """Milliseconds of one network; `device_ms` is empty where the runtime does not give it."""

    network: str
    backend: str
    host_ms: Sequence[float]
    device_ms: Sequence[float]


def time_runner(runner: Runner, stored: StoredNetwork) -> Timed:
    """An open runner from the frame to the outputs, crops included, on the portrait; at most LONGEST_S long."""
    image, crops = stills.live_view(stored.role, stored.name)
    for _ in range(WARM_UP):
        runner.submit(image, crops).result()
    runner.take_device_ms()
    host_ms: List[float] = []
    until = clock.monotonic() + LONGEST_S
    while len(host_ms) < MOST_RUNS and clock.monotonic() < until:
        began = clock.monotonic()
        runner.submit(image, crops).result()
        host_ms.append(1000.0 * (clock.monotonic() - began))
    return Timed(stored.name, runner.backend, host_ms, list(runner.take_device_ms()))


def spread(times_ms: Sequence[float]) -> str:
    return "p50 {:.2f} ms, p95 {:.2f} ms, most {:.2f} ms ({} runs)".format(
        figures.median(times_ms), figures.percentile(times_ms, 95.0), max(times_ms), len(times_ms))


def median(times_ms: Sequence[float]) -> str:
    return "{:.2f}".format(figures.median(times_ms)) if times_ms else "-"
