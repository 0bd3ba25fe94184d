"""The figures of jetson-stats, where it is installed and its service answers. Read in a thread that may hang for ever.

Its start() blocks where the service accepts and does not answer, and its reader raises whatever its peer makes it raise.
So everything is done in a daemon thread that nobody waits for, which keeps the newest figures and their age.
"""
import logging
import threading
from typing import Any, Callable, Dict, Mapping, Optional

from edge.core import clock
from edge.host.waiting import Event

log = logging.getLogger(__name__)

INTERVAL_S = 2.0  # between two sets of its figures
AGAIN_S = 60.0  # before a service that did not answer is asked again
STALE_S = 10.0  # older figures are not used
TEMPERATURE, OFFLINE_C = "Temp ", -256.0
POWER = ("Power TOT", "power cur")  # version 4, version 3; milliwatts
NO_ANSWER = "the jtop service does not answer"
MODE = ("nvp model", "nvpmodel")
LARGEST = 1e9


class JtopClient:
    """figures() never waits. `trouble` says why there are none, "" while all is well or nothing is known yet."""

    def __init__(self, again_s: float = AGAIN_S, now: Callable[[], float] = clock.monotonic) -> None:
        self._again_s, self._now = again_s, now
        self._found: Dict[str, Any] = {}
        self._found_at = 0.0
        self._stop = Event()
        self.trouble = ""
        threading.Thread(target=self._run, name="jtop client", daemon=True).start()

    def figures(self) -> Dict[str, Any]:
        """Keys of the status record's `board`; {} where nothing came within STALE_S."""
        return self._found if self._found and self._now() - self._found_at < STALE_S else {}

    def close(self) -> None:
        """The thread ends at its next check, unless it hangs."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except ImportError as e:
                self.trouble = str(e) or "not installed"
                return
            except Exception as e:  # whatever a foreign package raises; it is its figures that are missing, nothing else
                self.trouble = " ".join((str(e) or type(e).__name__).split())
                log.info("jetson-stats: %s", self.trouble)
            self._stop.wait(self._again_s)

    def _follow(self) -> None:
        """Until the connection is lost. Raises what jtop raises."""
        from jtop import jtop

        client = jtop(interval=INTERVAL_S)
        try:
            client.start()
            while not self._stop.is_set() and client.ok():
                self._found, self._found_at, self.trouble = figures_of(client.stats), self._now(), ""
            self.trouble = self.trouble or NO_ANSWER
        finally:
            client.close()  # its `with` does not


def figures_of(stats: Mapping[str, Any]) -> Dict[str, Any]:
    """Of jtop's `stats`, of version 3 or 4, what the status record knows."""
    found: Dict[str, Any] = {}
    load = _number(stats.get("GPU"))
    if load is not None:
        found["gpu_load"] = round(load / 100.0, 3)
    zones = {name[len(TEMPERATURE):]: _number(value) for name, value in stats.items() if name.startswith(TEMPERATURE)}
    degrees = {name: value for name, value in zones.items() if value is not None and value > OFFLINE_C}
    if degrees:
        found["temp_c"] = degrees
    for name in POWER:
        power = _number(stats.get(name))
        if power is not None:
            found["power_mw"] = int(power)
            break
    mode: Optional[Any] = next((stats[name] for name in MODE if stats.get(name)), None)
    if mode is not None:
        found["nvpmodel"] = str(mode)
    return found


def _number(value: Any) -> Optional[float]:
    """None for what is "OFF", for every other text, and for numbers out of range."""
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST
    return float(value) if known else None
