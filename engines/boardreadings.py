"""What the board's own files tell of its clocks, temperatures, power and memory at one moment. Read without privileges.

Paths are those of L4T 32 on a Tegra X1 (its GPU sits at 57000000), below `Machine.root`; what is not there is left out.
"""
import os
import re
from glob import glob
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from edge.machine import Machine

GPU = "/sys/devices/57000000.gpu"
GPU_CLOCK = GPU + "/devfreq/57000000.gpu"
CPU = "/sys/devices/system/cpu"
THERMAL = "/sys/devices/virtual/thermal"
RAILS = "/sys/bus/i2c/drivers/ina3221x/*/iio:device*/rail_name_*"
NO_ZONE = ("PMIC-Die",)  # says 50 or 100 degrees, always
FAN = "fan"  # a cooling device that slows nothing down
MEMORY = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree", "NvMapMemUsed")
HOT_C = 90.0  # the clocks are lowered from about 97 on
BUSY = 0.9  # share of its time from which on the GPU should have its full clock
LOW_MV = 4750  # the least that the module is made for
LOW_RAIL = "POM_5V_IN"


class Reading(NamedTuple):
    """One moment. None and empty: the board does not tell."""

    gpu_mhz: Optional[float]
    gpu_range_mhz: Tuple[Optional[float], Optional[float]]  # what it may be clocked at
    gpu_load: Optional[float]  # 0 to 1
    cores: str  # those that are on, such as 0-3
    cpu_mhz: Tuple[float, ...]  # of each core that tells
    cpu_top_mhz: Optional[float]
    governor: str
    temperatures_c: Dict[str, float]
    slowed_by: Dict[str, int]  # cooling device -> the step it is at; those at rest are left out
    power_mw: Dict[str, float]
    voltage_mv: Dict[str, float]
    memory_mb: Dict[str, float]  # by the names of /proc/meminfo


def read(machine: Machine) -> Reading:
    rails = _rails(machine)
    load = _number(machine, GPU + "/load")
    clocks = [_number(machine, path + "/scaling_cur_freq") for path in _below(machine, CPU + "/cpu[0-9]*/cpufreq")]
    return Reading(
        gpu_mhz=_number(machine, GPU_CLOCK + "/cur_freq", 1e6),
        gpu_range_mhz=(_number(machine, GPU_CLOCK + "/min_freq", 1e6), _number(machine, GPU_CLOCK + "/max_freq", 1e6)),
        gpu_load=None if load is None else load / 1000.0,
        cores=machine.read(CPU + "/online"),
        cpu_mhz=tuple(clock / 1000.0 for clock in clocks if clock is not None),
        cpu_top_mhz=_number(machine, CPU + "/cpu0/cpufreq/scaling_max_freq", 1000.0),
        governor=machine.read(CPU + "/cpu0/cpufreq/scaling_governor"),
        temperatures_c=_temperatures(machine), slowed_by=_cooling(machine),
        power_mw={name: power for name, power, _ in rails if power is not None},
        voltage_mv={name: voltage for name, _, voltage in rails if voltage is not None},
        memory_mb=_memory(machine))


def _below(machine: Machine, pattern: str) -> List[str]:
    """Absolute paths as the board names them."""
    start = len(machine.path("/").rstrip(os.sep))
    return [path[start:] for path in sorted(glob(machine.path(pattern)))]


def _number(machine: Machine, path: str, unit: float = 1.0) -> Optional[float]:
    try:
        return float(machine.read(path)) / unit
    except ValueError:
        return None


def _temperatures(machine: Machine) -> Dict[str, float]:
    found = {}
    for zone in _below(machine, THERMAL + "/thermal_zone[0-9]*"):
        name, degrees = machine.read(zone + "/type"), _number(machine, zone + "/temp", 1000.0)
        if name and name not in NO_ZONE and degrees is not None:
            found[name] = degrees
    return found


def _cooling(machine: Machine) -> Dict[str, int]:
    found = {}
    for device in _below(machine, THERMAL + "/cooling_device[0-9]*"):
        name, step = machine.read(device + "/type"), _number(machine, device + "/cur_state")
        if step and FAN not in name.lower():
            found[name or os.path.basename(device)] = int(step)
    return found


def _rails(machine: Machine) -> List[Tuple[str, Optional[float], Optional[float]]]:
    """Name, milliwatts and millivolts of each."""
    found = []
    for path in _below(machine, RAILS):
        folder, number = os.path.dirname(path), path.rsplit("_", 1)[1]
        found.append((machine.read(path), _number(machine, "{}/in_power{}_input".format(folder, number)),
                      _number(machine, "{}/in_voltage{}_input".format(folder, number))))
    return [rail for rail in found if rail[0]]


def _memory(machine: Machine) -> Dict[str, float]:
    found = re.findall(r"^(\w+):\s*(\d+) kB", machine.read("/proc/meminfo"), re.MULTILINE)
    return {name: int(size) / 1024.0 for name, size in found if name in MEMORY}


def lines(reading: Reading) -> List[str]:
    """One moment as text; what the board does not tell has no line."""
    told = []
    if reading.gpu_mhz is not None:
        least, most = reading.gpu_range_mhz
        told.append("GPU {:.0f} MHz (may be {} to {})".format(reading.gpu_mhz, _mhz(least), _mhz(most)))
    if reading.gpu_load is not None:
        told.append("GPU {:.0f} % busy".format(100.0 * reading.gpu_load))
    if reading.cpu_mhz:
        clocks = " ".join("{:.0f}".format(mhz) for mhz in reading.cpu_mhz)
        told.append("CPU {} MHz (at most {}), governor {}".format(
            clocks, _mhz(reading.cpu_top_mhz), reading.governor or "-"))
    if reading.cores:
        told.append("cores on: {}".format(reading.cores))
    if reading.temperatures_c:
        told.append(", ".join("{} {:.1f} C".format(*zone) for zone in reading.temperatures_c.items()))
    for name in reading.power_mw:
        voltage = reading.voltage_mv.get(name)
        told.append("{} {:.0f} mW{}".format(name, reading.power_mw[name],
                                            "" if voltage is None else " at {:.0f} mV".format(voltage)))
    for name, step in reading.slowed_by.items():
        told.append("slowed down by {} (step {})".format(name, step))
    told.append(", ".join("{} {:.0f} MB".format(*part) for part in reading.memory_mb.items()) or "memory: not told")
    return told


def over_time(readings: Sequence[Reading]) -> List[str]:
    """Many moments of a run as text: least, median and most of each."""
    told = [
        _spread("GPU clock, MHz", [r.gpu_mhz for r in readings]),
        _spread("GPU busy, %", [None if r.gpu_load is None else 100.0 * r.gpu_load for r in readings]),
        _spread("CPU clock, MHz", [mhz for r in readings for mhz in r.cpu_mhz])]
    for unit, values in (("C", [r.temperatures_c for r in readings]),
                         ("mW", [r.power_mw for r in readings]),
                         ("mV", [r.voltage_mv for r in readings]),
                         ("MB", [r.memory_mb for r in readings])):
        names = sorted({name for value in values for name in value if not name.endswith("Total")})
        told += [_spread("{}, {}".format(name, unit), [value.get(name) for value in values]) for name in names]
    return [line for line in told if line]


def throttling(readings: Sequence[Reading]) -> List[str]:
    """Every sign that the board was slower than it can be."""
    signs = []
    by = sorted({name for r in readings for name in r.slowed_by})
    if by:
        signs.append("slowed down by {}: too hot, or the supply is too weak".format(", ".join(by)))
    hottest = max((degrees for r in readings for degrees in r.temperatures_c.values()), default=0.0)
    if hottest >= HOT_C:
        signs.append("{:.0f} C: give it a fan or more air".format(hottest))
    low = [r.voltage_mv[LOW_RAIL] for r in readings if r.voltage_mv.get(LOW_RAIL, LOW_MV) < LOW_MV]
    if low:
        signs.append("only {:.0f} mV at {}: take a supply of 5 V and 4 A at the barrel jack".format(min(low), LOW_RAIL))
    busy = [r for r in readings if (r.gpu_load or 0.0) >= BUSY]
    slow = [r for r in busy if (r.gpu_mhz or 0.0) < 0.95 * (r.gpu_range_mhz[1] or 0.0)]
    if slow:
        signs.append("the GPU was busy below its full clock in {} of {} looks: sudo jetson_clocks".format(
            len(slow), len(readings)))
    return signs


def _spread(name: str, values: Sequence[Optional[float]]) -> str:
    known = sorted(value for value in values if value is not None)
    if not known:
        return ""
    return "{:24} {:>8.0f} {:>8.0f} {:>8.0f}".format(name, known[0], known[len(known) // 2], known[-1])


def _mhz(value: Optional[float]) -> str:
    return "-" if value is None else "{:.0f}".format(value)
