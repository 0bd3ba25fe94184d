"""The `board` of the status record: the board's own files first; jetson-stats for what they do not have."""
import threading
from typing import Any, Dict, List, Optional

from edge.core import clock
from edge.host.waiting import Event
from edge.telemetry.board import files as boardfiles
from edge.telemetry.board.files import INPUT_RAIL, BoardFiles, Reading
from edge.telemetry.board.jtop import JtopClient

INTERVAL_S = 5.0  # between two readings: about forty small files, some of them over a slow bus
LIST_AGAIN_S = 600.0  # for files that appear later
CLEAR_READINGS = 3  # readings without a sign of throttling until it counts as over
UNDER_VOLTAGE = "under-voltage"
ZONE_END = "-therm"


class BoardReader:
    """read() returns the newest reading of its own thread: it never waits and never raises. None off a board."""

    def __init__(self, root: str = "/", jtop: bool = True, interval_s: float = INTERVAL_S) -> None:
        self._root, self._interval_s = root, interval_s
        self._newest: Optional[Dict[str, Any]] = None
        self._stop = Event()
        self._jtop: Optional[JtopClient] = None
        self._clear = CLEAR_READINGS
        self._signs: List[str] = []
        if boardfiles.is_jetson(root):
            self._jtop = JtopClient() if jtop else None
            self._thread = threading.Thread(target=self._run, name="board", daemon=True)
            self._thread.start()

    def read(self) -> Optional[Dict[str, Any]]:
        """Keys of output-schema.md, and gpu_mhz, cpu_mhz, rails_mw, throttled_by. The dictionary is not changed later."""
        return self._newest

    def close(self) -> None:
        self._stop.set()
        if self._jtop is not None:
            self._jtop.close()

    def _run(self) -> None:
        files, found_at = BoardFiles(self._root), clock.monotonic()
        while not self._stop.is_set():
            self._newest = self._record(files.read())
            self._stop.wait(self._interval_s)
            if clock.monotonic() - found_at > LIST_AGAIN_S:
                files, found_at = BoardFiles(self._root), clock.monotonic()

    def _record(self, reading: Reading) -> Dict[str, Any]:
        record = record_of(reading)
        record["model"] = boardfiles.read_text(self._root, boardfiles.MODEL) or "Jetson"
        mode = boardfiles.power_mode(self._root)
        if mode is not None:
            record["nvpmodel"] = mode[1] or str(mode[0])
        record["throttled"] = bool(self._held(signs_of(reading)))
        if self._signs:
            record["throttled_by"] = list(self._signs)
        if self._jtop is not None:
            for key, value in self._jtop.figures().items():
                record.setdefault(key, value)
        return record

    def _held(self, signs: List[str]) -> List[str]:
        """A sign that comes and goes counts as one event, not many."""
        self._clear = 0 if signs else self._clear + 1
        if signs or self._clear >= CLEAR_READINGS:
            self._signs = signs
        return self._signs


def signs_of(reading: Reading) -> List[str]:
    """What makes the board slower than it can be: cooling that has begun, a supply that is too weak."""
    return sorted(reading.slowed_by) + ([UNDER_VOLTAGE] if reading.low_mv is not None else [])


def record_of(reading: Reading) -> Dict[str, Any]:
    """What is not known has no key."""
    record: Dict[str, Any] = {}
    if reading.gpu_load is not None:
        record["gpu_load"] = round(reading.gpu_load, 3)
    if reading.gpu_mhz is not None:
        record["gpu_mhz"] = round(reading.gpu_mhz, 1)
    if reading.cpu_mhz:
        record["cpu_mhz"] = round(max(reading.cpu_mhz), 1)
    if reading.temperatures_c:
        record["temp_c"] = {short(name): degrees for name, degrees in reading.temperatures_c.items()}
    if reading.power_mw:
        record["rails_mw"] = {name: int(power) for name, power in reading.power_mw.items()}
        if INPUT_RAIL in reading.power_mw:
            record["power_mw"] = int(reading.power_mw[INPUT_RAIL])
    memory = reading.memory_mb
    if "MemTotal" in memory and "MemAvailable" in memory:
        record["memory_mb"] = {"used": int(memory["MemTotal"] - memory["MemAvailable"]), "total": int(memory["MemTotal"])}
        if "SwapTotal" in memory and "SwapFree" in memory:
            record["memory_mb"]["swap_used"] = int(memory["SwapTotal"] - memory["SwapFree"])
    return record


def short(zone: str) -> str:
    """GPU of GPU-therm."""
    return zone[:-len(ZONE_END)] if zone.endswith(ZONE_END) and len(zone) > len(ZONE_END) else zone
