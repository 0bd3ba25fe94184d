"""The `board` of the status record: the board's own files first; jetson-stats for what they do not tell."""
import threading
from typing import Any, Dict, List, Optional

from edge.core import clock
from edge.host.waiting import Event
from edge.telemetry.board import files as boardfiles
from edge.telemetry.board.files import INPUT_RAIL, BoardFiles, Reading
from edge.telemetry.board.jtop import JtopClient

EVERY_S = 5.0  # between two looks: about forty small files, some of them over a slow bus
LOOK_AGAIN_S = 600.0  # for files that came late
CALM_LOOKS = 3  # so many looks without a sign of throttling until it counts as over
UNDER_VOLTAGE = "under-voltage"
ZONE_END = "-therm"


class BoardReader:
    """read() gives what a thread of its own found last: it never waits and never raises. None off a board."""

    def __init__(self, root: str = "/", jtop: bool = True, every_s: float = EVERY_S) -> None:
        self._root, self._every_s = root, every_s
        self._told: Optional[Dict[str, Any]] = None
        self._stop = Event()
        self._jtop: Optional[JtopClient] = None
        self._calm = CALM_LOOKS
        self._signs: List[str] = []
        if boardfiles.is_jetson(root):
            self._jtop = JtopClient() if jtop else None
            self._thread = threading.Thread(target=self._run, name="board", daemon=True)
            self._thread.start()

    def read(self) -> Optional[Dict[str, Any]]:
        """Keys of output-schema.md, and gpu_mhz, cpu_mhz, rails_mw, throttled_by. The dictionary is not changed later."""
        return self._told

    def close(self) -> None:
        self._stop.set()
        if self._jtop is not None:
            self._jtop.close()

    def _run(self) -> None:
        files, found_at = BoardFiles(self._root), clock.monotonic()
        while not self._stop.is_set():
            self._told = self._record(files.read())
            self._stop.wait(self._every_s)
            if clock.monotonic() - found_at > LOOK_AGAIN_S:
                files, found_at = BoardFiles(self._root), clock.monotonic()

    def _record(self, reading: Reading) -> Dict[str, Any]:
        told = record_of(reading)
        told["model"] = boardfiles.read_text(self._root, boardfiles.MODEL) or "Jetson"
        mode = boardfiles.power_mode(self._root)
        if mode is not None:
            told["nvpmodel"] = mode[1] or str(mode[0])
        told["throttled"] = bool(self._held(signs_of(reading)))
        if self._signs:
            told["throttled_by"] = list(self._signs)
        if self._jtop is not None:
            for key, value in self._jtop.figures().items():
                told.setdefault(key, value)
        return told

    def _held(self, signs: List[str]) -> List[str]:
        """A sign that comes and goes is one trouble, not many."""
        self._calm = 0 if signs else self._calm + 1
        if signs or self._calm >= CALM_LOOKS:
            self._signs = signs
        return self._signs


def signs_of(reading: Reading) -> List[str]:
    """What makes the board slower than it can be: cooling that has begun, a supply that is too weak."""
    return sorted(reading.slowed_by) + ([UNDER_VOLTAGE] if reading.low_mv is not None else [])


def record_of(reading: Reading) -> Dict[str, Any]:
    """What is not told has no key."""
    told: Dict[str, Any] = {}
    if reading.gpu_load is not None:
        told["gpu_load"] = round(reading.gpu_load, 3)
    if reading.gpu_mhz is not None:
        told["gpu_mhz"] = round(reading.gpu_mhz, 1)
    if reading.cpu_mhz:
        told["cpu_mhz"] = round(max(reading.cpu_mhz), 1)
    if reading.temperatures_c:
        told["temp_c"] = {short(name): degrees for name, degrees in reading.temperatures_c.items()}
    if reading.power_mw:
        told["rails_mw"] = {name: int(power) for name, power in reading.power_mw.items()}
        if INPUT_RAIL in reading.power_mw:
            told["power_mw"] = int(reading.power_mw[INPUT_RAIL])
    memory = reading.memory_mb
    if "MemTotal" in memory and "MemAvailable" in memory:
        told["memory_mb"] = {"used": int(memory["MemTotal"] - memory["MemAvailable"]), "total": int(memory["MemTotal"])}
        if "SwapTotal" in memory and "SwapFree" in memory:
            told["memory_mb"]["swap_used"] = int(memory["SwapTotal"] - memory["SwapFree"])
    return told


def short(zone: str) -> str:
    """GPU of GPU-therm."""
    return zone[:-len(ZONE_END)] if zone.endswith(ZONE_END) and len(zone) > len(ZONE_END) else zone
