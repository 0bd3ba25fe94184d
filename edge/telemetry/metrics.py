"""An endpoint that Prometheus asks: GET /metrics. Everything is put together when it asks; frames cost nothing more."""
from typing import Any, Callable, Iterator, List, Mapping, Optional, Tuple

from edge import __version__
from edge.core.errors import ConfigError
from edge.core.roles import OUTPUT_AT_REST, STATES
from edge.host.packages import install
from edge.telemetry.board import files as boardfiles
from edge.telemetry.histogram import Histogram
from edge.telemetry.meter import Totals
from edge.telemetry.metricsserver import Page, Server

LIMITS_S = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
MB = float(1 << 20)  # as the status record counts
BOARD = (  # key of the status record's `board`, what makes base units of it, name, help
    ("gpu_load", 1.0, "board_gpu_load_ratio", "Share of its time that the GPU is busy, 0 to 1"),
    ("gpu_mhz", 1e6, "board_gpu_hertz", "Clock of the GPU"), ("cpu_mhz", 1e6, "board_cpu_hertz", "Clock of the fastest core"),
    ("power_mw", 1e-3, "board_power_watts", "What the board takes from its supply"),
    ("throttled", 1.0, "board_throttled", "1 while the board is slower than it can be"),
)


class Metrics(Server):
    """Serves until close()."""

    def __init__(self, address: Tuple[str, int], totals: Callable[[], Totals],
                 record: Callable[[], Mapping[str, Any]]) -> None:
        """`totals` and `record` (the newest status record) are called from the endpoint's thread.

        Raises OutputError where the port is taken, ConfigError where prometheus_client is not installed.
        """
        try:
            from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        except ImportError:
            raise ConfigError("metrics.address is set, and the package prometheus_client is missing: {}, or set "
                              "metrics.address to null".format(install("prometheus_client")))
        registry: Any = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(totals, record))
        super().__init__(address, Page(lambda: generate_latest(registry), CONTENT_TYPE_LATEST))


class _Collector:
    """What prometheus_client asks for at each scrape."""

    def __init__(self, totals: Callable[[], Totals], record: Callable[[], Mapping[str, Any]]) -> None:
        self._totals, self._record = totals, record
        version = boardfiles.l4t_version(boardfiles.read_text("/", boardfiles.RELEASE))
        self._l4t = ".".join(str(n) for n in version or ())

    def describe(self) -> List[Any]:
        """Asked when it is registered: nothing has to be looked at for that."""
        return []

    def collect(self) -> Iterator[Any]:
        record = self._record()
        families = [_build(record, self._l4t), _networks(record)] + _counted(self._totals()) + _at_present(record)
        families += _outputs(record) + _board(record.get("board") or {})
        return iter(families)


def _build(record: Mapping[str, Any], l4t: str) -> Any:
    """1, with what runs: the version of nanoface, that of the board's software ("" on a PC), and the runtimes."""
    from prometheus_client.core import GaugeMetricFamily

    backends = {stage.get("backend") for stage in (record.get("stages") or {}).values()}
    family = GaugeMetricFamily("nanoface_build_info", "What runs", labels=["version", "l4t", "runtime"])
    family.add_metric([__version__, l4t, ", ".join(sorted(name for name in backends if name))], 1.0)
    return family


def _networks(record: Mapping[str, Any]) -> Any:
    """1 for each stage that has one; of one of the user's own the name of its file."""
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily("nanoface_network_info", "Network of a stage", labels=["stage", "network"])
    for name, row in (record.get("stages") or {}).items():
        if row.get("model"):
            family.add_metric([name, row["model"]], 1.0)
    return family


def _counted(totals: Totals) -> List[Any]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    stages = HistogramMetricFamily("nanoface_stage_seconds", "Time of a frame in a stage: waiting before it (wait), in it "
                                   "(work), of that on the runtime's device (device)", labels=["stage", "part"])
    for stage, parts in sorted(totals.times.items()):
        for part, histogram in parts.items():
            if histogram.count:
                stages.add_metric([stage, part], _buckets(histogram), histogram.total_s)
    latency = HistogramMetricFamily("nanoface_latency_seconds", "From the capture of a frame to the outputs")
    latency.add_metric([], _buckets(totals.latency), totals.latency.total_s)
    dropped = CounterMetricFamily("nanoface_dropped_frames", "Frames that a stage dropped", labels=["stage"])
    for stage, frames in sorted(totals.dropped.items()):
        dropped.add_metric([stage], frames)
    counted = CounterMetricFamily("nanoface_stage_events", "What a stage counts itself", labels=["stage", "event"])
    for stage, counters in sorted(totals.counters.items()):
        for event, number in sorted(counters.items()):
            counted.add_metric([stage, event], number)
    return [stages, latency, dropped, counted]


def _buckets(histogram: Histogram) -> List[Tuple[str, float]]:
    below = [(str(limit), float(count)) for limit, count in zip(LIMITS_S, histogram.up_to(LIMITS_S))]
    return below + [("+Inf", float(histogram.count))]


def _at_present(record: Mapping[str, Any]) -> List[Any]:
    from prometheus_client.core import GaugeMetricFamily

    state = GaugeMetricFamily("nanoface_state", "1 for the state that the run is in", labels=["state"])
    for name in STATES:
        state.add_metric([name], float(record.get("state") == name))
    fps = GaugeMetricFamily("nanoface_fps", "Frames per second, captured and to the outputs", labels=["at"])
    for at, rate in (record.get("fps") or {}).items():
        fps.add_metric([at], rate)
    return [state, fps] + [_gauge(name, help_text, record.get(key)) for key, name, help_text in (
        ("faces", "nanoface_faces", "Faces in the newest frame"), ("uptime_s", "nanoface_uptime_seconds", "Of this run"))
        if record.get(key) is not None]


def _outputs(record: Mapping[str, Any]) -> List[Any]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    items = CounterMetricFamily("nanoface_output_items", "What became of what an output was given", labels=["output", "was"])
    up = GaugeMetricFamily("nanoface_output_up", "1 while an output works", labels=["output"])
    for name, stats in (record.get("outputs") or {}).items():
        up.add_metric([name], float(stats.get("state", "down").partition(":")[0] not in OUTPUT_AT_REST))
        for was, count in stats.items():
            if was != "state":
                items.add_metric([name, was], count)
    lost = CounterMetricFamily("nanoface_status_records_lost", "Records that the status log's disk did not take")
    lost.add_metric([], (record.get("log") or {}).get("failed", 0))
    return [items, up, lost]


def _board(board: Mapping[str, Any]) -> List[Any]:
    from prometheus_client.core import GaugeMetricFamily

    gauges = [_gauge("nanoface_" + name, text, (board[key] or 0.0) * unit) for key, unit, name, text in BOARD if key in board]
    degrees = GaugeMetricFamily("nanoface_board_celsius", "Temperature of a zone", labels=["zone"])
    for zone, celsius in (board.get("temp_c") or {}).items():
        degrees.add_metric([zone], celsius)
    memory = GaugeMetricFamily("nanoface_board_memory_bytes", "Memory of the board", labels=["kind"])
    for kind, size in (board.get("memory_mb") or {}).items():
        memory.add_metric([kind], size * MB)
    return gauges + ([degrees] if degrees.samples else []) + ([memory] if memory.samples else [])


def _gauge(name: str, text: str, value: Optional[Any]) -> Any:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(name, text, value=float(value or 0.0))
