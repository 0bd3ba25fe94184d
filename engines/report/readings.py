"""The board's clocks, temperatures, power and memory as text: of one moment, and of a run."""
from typing import List, Optional, Sequence

from edge.core.figures import median
from edge.doctor.machine import Machine
from edge.telemetry.board.files import INPUT_RAIL, BoardFiles, Reading

HOT_C = 90.0  # the clocks are lowered from about 97 on
BUSY = 0.9  # share of its time from which on the GPU should have its full clock


def read(machine: Machine) -> Reading:
    return BoardFiles(machine.root).read()


def lines(reading: Reading) -> List[str]:
    """One moment as text; what is not known has no line."""
    text = []
    if reading.gpu_mhz is not None:
        least, most = reading.gpu_range_mhz
        text.append("GPU {:.0f} MHz (may be {} to {})".format(reading.gpu_mhz, _mhz(least), _mhz(most)))
    if reading.gpu_load is not None:
        text.append("GPU {:.0f} % busy".format(100.0 * reading.gpu_load))
    if reading.cpu_mhz:
        clocks = " ".join("{:.0f}".format(mhz) for mhz in reading.cpu_mhz)
        text.append("CPU {} MHz (at most {}), governor {}".format(
            clocks, _mhz(reading.cpu_top_mhz), reading.governor or "-"))
    if reading.cores:
        text.append("cores on: {}".format(reading.cores))
    if reading.temperatures_c:
        text.append(", ".join("{} {:.1f} C".format(*zone) for zone in reading.temperatures_c.items()))
    for name in reading.power_mw:
        voltage = reading.voltage_mv.get(name)
        text.append("{} {:.0f} mW{}".format(name, reading.power_mw[name],
                                            "" if voltage is None else " at {:.0f} mV".format(voltage)))
    for name, step in reading.slowed_by.items():
        text.append("slowed down by {} (step {})".format(name, step))
    text.append(", ".join("{} {:.0f} MB".format(*part) for part in reading.memory_mb.items()) or "memory: not known")
    return text


def over_time(readings: Sequence[Reading]) -> List[str]:
    """Many moments of a run as text: least, median and most of each."""
    text = [
        _spread("GPU clock, MHz", [r.gpu_mhz for r in readings]),
        _spread("GPU busy, %", [None if r.gpu_load is None else 100.0 * r.gpu_load for r in readings]),
        _spread("CPU clock, MHz", [mhz for r in readings for mhz in r.cpu_mhz])]
    for unit, values in (("C", [r.temperatures_c for r in readings]),
                         ("mW", [r.power_mw for r in readings]),
                         ("mV", [r.voltage_mv for r in readings]),
                         ("MB", [r.memory_mb for r in readings])):
        names = sorted({name for value in values for name in value if not name.endswith("Total")})
        text += [_spread("{}, {}".format(name, unit), [value.get(name) for value in values]) for name in names]
    return [line for line in text if line]


def throttling(readings: Sequence[Reading]) -> List[str]:
    """Every sign that the board was slower than it can be."""
    signs = []
    by = sorted({name for r in readings for name in r.slowed_by})
    if by:
        signs.append("slowed down by {}: too hot, or the supply is too weak".format(", ".join(by)))
    hottest = max((degrees for r in readings for degrees in r.temperatures_c.values()), default=0.0)
    if hottest >= HOT_C:
        signs.append("{:.0f} C: give it a fan or more air".format(hottest))
    low = [r.low_mv for r in readings if r.low_mv is not None]
    if low:
        signs.append("only {:.0f} mV at {}: take a supply of 5 V and 4 A at the barrel jack".format(min(low), INPUT_RAIL))
    busy = [r for r in readings if (r.gpu_load or 0.0) >= BUSY]
    slow = [r for r in busy if (r.gpu_mhz or 0.0) < 0.95 * (r.gpu_range_mhz[1] or 0.0)]
    if slow:
        signs.append("the GPU was busy below its full clock in {} of {} looks: sudo jetson_clocks".format(
            len(slow), len(readings)))
    return signs


def _spread(name: str, values: Sequence[Optional[float]]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    return "{:24} {:>8.0f} {:>8.0f} {:>8.0f}".format(name, min(known), median(known), max(known))


def _mhz(value: Optional[float]) -> str:
    return "-" if value is None else "{:.0f}".format(value)
