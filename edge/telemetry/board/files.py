"""A board's clocks, temperatures, power and memory from its own files, at one moment. Read without privileges.

Paths are those of L4T 32 on a Tegra X1 (its GPU sits at 57000000), below a root folder; what is not there is left out.
"""
import math
import os
import re
from glob import glob
from typing import Dict, List, NamedTuple, Optional, Tuple

from edge.host.process import TEGRA_RELEASE

GPU = "/sys/devices/57000000.gpu"
GPU_CLOCK = GPU + "/devfreq/57000000.gpu"
CPU = "/sys/devices/system/cpu"
THERMAL = "/sys/devices/virtual/thermal"
RAILS = "/sys/bus/i2c/drivers/ina3221x/*/iio:device*/rail_name_*"
MODEL = "/proc/device-tree/model"
RELEASE = TEGRA_RELEASE
MODE, MODES = "/var/lib/nvpmodel/status", "/etc/nvpmodel.conf"
NO_ZONE = ("PMIC-Die",)  # always 50 or 100 degrees
FAN = "fan"  # a cooling device that slows nothing down
MEMORY = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree", "NvMapMemUsed")
LOW_MV = 4750  # the least that the module is made for
INPUT_RAIL = "POM_5V_IN"


class Reading(NamedTuple):
    """None and empty: the board does not have it."""

    gpu_mhz: Optional[float]
    gpu_range_mhz: Tuple[Optional[float], Optional[float]]  # what it may be clocked at
    gpu_load: Optional[float]  # 0 to 1
    cores: str  # those that are on, such as 0-3
    cpu_mhz: Tuple[float, ...]  # of each core that has it
    cpu_top_mhz: Optional[float]
    governor: str
    temperatures_c: Dict[str, float]
    slowed_by: Dict[str, int]  # cooling device -> the step it is at; those at rest are left out
    power_mw: Dict[str, float]
    voltage_mv: Dict[str, float]
    memory_mb: Dict[str, float]  # by the names of /proc/meminfo

    @property
    def low_mv(self) -> Optional[float]:
        """The supply's voltage where it is less than the module is made for."""
        volts = self.voltage_mv.get(INPUT_RAIL, LOW_MV)
        return volts if volts < LOW_MV else None


class BoardFiles:
    """Looks up once which files there are, and reads those: about forty small ones for a Nano."""

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._zones = self._named(THERMAL + "/thermal_zone[0-9]*", "temp", NO_ZONE)
        self._cooling = self._named(THERMAL + "/cooling_device[0-9]*", "cur_state")
        self._clocks = [path + "/scaling_cur_freq" for path in below(root, CPU + "/cpu[0-9]*/cpufreq")]
        self._rails = [rail for rail in ((read_text(root, path), path) for path in below(root, RAILS)) if rail[0]]

    def read(self) -> Reading:
        clocks = [self._number(path, 1000.0) for path in self._clocks]
        load = self._number(GPU + "/load", 1000.0)
        least, most = self._number(GPU_CLOCK + "/min_freq", 1e6), self._number(GPU_CLOCK + "/max_freq", 1e6)
        return Reading(
            gpu_mhz=self._number(GPU_CLOCK + "/cur_freq", 1e6), gpu_range_mhz=(least, most), gpu_load=load,
            cores=read_text(self._root, CPU + "/online"), cpu_mhz=tuple(mhz for mhz in clocks if mhz is not None),
            cpu_top_mhz=self._number(CPU + "/cpu0/cpufreq/scaling_max_freq", 1000.0),
            governor=read_text(self._root, CPU + "/cpu0/cpufreq/scaling_governor"),
            temperatures_c=self._numbers(self._zones, 1000.0), slowed_by=self._slowed(),
            power_mw=self._of_rails("in_power"), voltage_mv=self._of_rails("in_voltage"), memory_mb=memory_mb(self._root))

    def _named(self, pattern: str, file: str, without: Tuple[str, ...] = ()) -> List[Tuple[str, str]]:
        """The name of each device of a kind, and the path of its value."""
        found = [(read_text(self._root, path + "/type"), path + "/" + file) for path in below(self._root, pattern)]
        return [(name or os.path.basename(os.path.dirname(path)), path) for name, path in found if name not in without]

    def _numbers(self, files: List[Tuple[str, str]], unit: float) -> Dict[str, float]:
        found = {name: self._number(path, unit) for name, path in files}
        return {name: value for name, value in found.items() if value is not None}

    def _slowed(self) -> Dict[str, int]:
        steps = self._numbers([device for device in self._cooling if FAN not in device[0].lower()], 1.0)
        return {name: int(step) for name, step in steps.items() if step > 0}

    def _of_rails(self, quantity: str) -> Dict[str, float]:
        """Milliwatts or millivolts of each rail."""
        files = [(name, "{}/{}{}_input".format(os.path.dirname(path), quantity, path.rsplit("_", 1)[1]))
                 for name, path in self._rails]
        return self._numbers(files, 1.0)

    def _number(self, path: str, unit: float) -> Optional[float]:
        try:
            value = float(read_text(self._root, path)) / unit
        except ValueError:
            return None
        return value if math.isfinite(value) else None


def read_text(root: str, absolute: str) -> str:
    """The text of a small file below `root`; "" where it is absent or may not be read."""
    try:
        with open(os.path.join(root, absolute.lstrip("/")), "rb") as f:
            return f.read(1 << 16).decode("utf-8", "replace").strip("\0 \n")
    except OSError:
        return ""


def below(root: str, pattern: str) -> List[str]:
    """What matches, as absolute paths of the board."""
    start = len(os.path.join(root, "").rstrip(os.sep))
    return [path[start:] for path in sorted(glob(os.path.join(root, pattern.lstrip("/"))))]


def memory_mb(root: str) -> Dict[str, float]:
    found = re.findall(r"^(\w+):\s*(\d{1,15}) kB", read_text(root, "/proc/meminfo"), re.MULTILINE)
    return {name: int(size) / 1024.0 for name, size in found if name in MEMORY}


def is_jetson(root: str) -> bool:
    return bool(read_text(root, RELEASE)) or "jetson" in read_text(root, MODEL).lower()


def power_mode(root: str) -> Optional[Tuple[int, str]]:
    """Number and name ("" where it is not known) of the mode that nvpmodel has set."""
    found = re.search(r"pmode:(\d{1,9})\b", read_text(root, MODE))
    if found is None:
        return None
    number = int(found.group(1))
    named = re.search(r"POWER_MODEL\s+ID={}\s+NAME=(\S+)".format(number), read_text(root, MODES))
    return number, named.group(1) if named else ""


def l4t_version(release: str) -> Optional[Tuple[int, int, int]]:
    """Of the first line of /etc/nv_tegra_release, "# R32 (release), REVISION: 7.1, ..."."""
    found = re.search(r"R(\d{1,9})\b.*?REVISION:\s*(\d{1,9})(?:\.(\d{1,9}))?", release)
    return (int(found.group(1)), int(found.group(2)), int(found.group(3) or 0)) if found else None
