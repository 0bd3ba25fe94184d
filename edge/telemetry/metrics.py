"""An endpoint that Prometheus asks: GET /metrics. Everything is put together when it asks; frames cost nothing more."""
import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Callable, Iterator, List, Mapping, Optional, Tuple

from edge.core.waiting import join
from edge.errors import ConfigError, OutputError
from edge.telemetry.histogram import Histogram
from edge.telemetry.meter import Totals

log = logging.getLogger(__name__)

LIMITS_S = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
STATES = ("STARTING", "RUNNING", "DEGRADED", "STOPPING", "STOPPED", "FAILED")
CURE = "python3 -m pip install 'nanoface[metrics]', or set metrics.address to null"
SLOW_CLIENT_S = 5.0  # for a request to be read and its answer to be taken
POLL_S = 0.1  # how soon the server ends
BOARD = (  # key of the status record's `board`, name, help
    ("gpu_load", "board_gpu_load", "Share of its time that the GPU is busy, 0 to 1"),
    ("gpu_mhz", "board_gpu_mhz", "Clock of the GPU"), ("cpu_mhz", "board_cpu_mhz", "Clock of the fastest core"),
    ("power_mw", "board_power_milliwatts", "What the board takes from its supply"),
    ("throttled", "board_throttled", "1 while the board is slower than it can be"),
)


class Metrics:
    """Serves one request at a time in a thread of its own. close() ends it."""

    def __init__(self, address: Tuple[str, int], totals: Callable[[], Totals],
                 record: Callable[[], Mapping[str, Any]]) -> None:
        """`totals` and `record` (the newest status record) are called from the endpoint's thread.

        Raises OutputError where the port is taken, ConfigError where prometheus_client is not installed.
        """
        self._collector = _Collector(totals, record)
        try:
            from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        except ImportError:
            raise ConfigError("metrics.address is set, and the package prometheus_client is missing: " + CURE)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self._collector)
        self._server = _listen(address, _handler(lambda: generate_latest(registry), CONTENT_TYPE_LATEST))
        self.address: Tuple[str, int] = (str(self._server.server_address[0]), int(self._server.server_address[1]))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL_S,), name="nanoface-metrics",
                                        daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        join(self._thread, SLOW_CLIENT_S)


def _listen(address: Tuple[str, int], handler: Any) -> HTTPServer:
    host, port = address

    class Server(HTTPServer):
        address_family = _family(host, port)

        def handle_error(self, request: Any, client_address: Any) -> None:
            log.debug("a scrape was broken off", exc_info=True)

    try:
        return Server((host, port), handler)
    except OSError as e:
        raise OutputError("metrics.address: nothing can listen at {}:{} ({}): take another port, or stop the program that "
                          "has it".format(host, port, e.strerror or e))


def _family(host: str, port: int) -> Any:
    import socket

    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    except OSError as e:
        raise OutputError("metrics.address: {} is no address of this machine ({})".format(host, e.strerror or e))


def _handler(page: Callable[[], bytes], kind: str) -> Any:
    class Handler(BaseHTTPRequestHandler):
        timeout = SLOW_CLIENT_S  # of socketserver: for each reading of the connection

        def do_GET(self) -> None:
            found = self.path.split("?")[0] in ("/", "/metrics")
            body = page() if found else b"see /metrics\n"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", kind if found else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            log.debug("scrape: " + format, *args)

    return Handler


class _Collector:
    """What prometheus_client asks for at each scrape."""

    def __init__(self, totals: Callable[[], Totals], record: Callable[[], Mapping[str, Any]]) -> None:
        self._totals, self._record = totals, record

    def describe(self) -> List[Any]:
        """Asked when it is registered: nothing has to be looked at for that."""
        return []

    def collect(self) -> Iterator[Any]:
        record = self._record()
        families = _counted(self._totals()) + _at_present(record) + _outputs(record) + _board(record.get("board") or {})
        return iter(families)


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
        up.add_metric([name], float(stats.get("state") == "ok"))
        for was in ("sent", "dropped", "failed"):
            if was in stats:
                items.add_metric([name, was], stats[was])
    lost = CounterMetricFamily("nanoface_status_records_lost", "Records that the status log's disk did not take")
    lost.add_metric([], (record.get("log") or {}).get("failed", 0))
    return [items, up, lost]


def _board(board: Mapping[str, Any]) -> List[Any]:
    from prometheus_client.core import GaugeMetricFamily

    told = [_gauge("nanoface_" + name, text, board[key]) for key, name, text in BOARD if key in board]
    degrees = GaugeMetricFamily("nanoface_board_celsius", "Temperature of a zone", labels=["zone"])
    for zone, celsius in (board.get("temp_c") or {}).items():
        degrees.add_metric([zone], celsius)
    memory = GaugeMetricFamily("nanoface_board_memory_megabytes", "Memory of the board", labels=["kind"])
    for kind, size in (board.get("memory_mb") or {}).items():
        memory.add_metric([kind], size)
    return told + ([degrees] if degrees.samples else []) + ([memory] if memory.samples else [])


def _gauge(name: str, text: str, value: Optional[Any]) -> Any:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(name, text, value=float(value or 0.0))
