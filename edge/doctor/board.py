"""A Jetson board: its software, memory, power mode, clocks, heat, and access to the GPU."""
import os
import re
from typing import List, Optional

from edge.doctor.machine import GIB, OK, VIDEO_GROUP, WARN, Finding, Machine, is_jetson
from edge.telemetry.board import files as boardfiles

JETPACK_OF_L4T = {
    "32.6.1": "4.6", "32.7.1": "4.6.1", "32.7.2": "4.6.2", "32.7.3": "4.6.3", "32.7.4": "4.6.4", "32.7.5": "4.6.5",
    "32.7.6": "4.6.6",
}
OLDEST_L4T = (32, 7, 1)  # TensorRT 8.2; plans and Python bindings of earlier ones differ
SWAP_NEEDED_GIB = 3.5  # the build of a plan and its tactics beside the system, on a board of 4 GB
MEMORY_NEEDED_MB = 900
SLOW_GOVERNORS = ("powersave", "conservative")


def check_board(machine: Machine) -> List[Finding]:
    """Nothing on a PC; on a Jetson its software, swap, power mode and access to the GPU."""
    if not is_jetson(machine):
        return []
    findings = (_software(machine), _swap(machine), _memory(machine), _power(machine), _clocks(machine), _now(machine),
                _gpu(machine))
    return [finding for finding in findings if finding is not None]


def _software(machine: Machine) -> Finding:
    model = machine.read(boardfiles.MODEL) or "Jetson"
    version = boardfiles.l4t_version(machine.read(boardfiles.RELEASE))
    if version is None:
        return Finding("board", WARN, model + ", release of its software unknown",
                       "install JetPack 4.6.1 or later: it brings /etc/nv_tegra_release")
    l4t = ".".join(str(n) for n in version)
    jetpack = JETPACK_OF_L4T.get(l4t)
    text = "{}, L4T {}{}".format(model, l4t, " (JetPack {})".format(jetpack) if jetpack else "")
    if version < OLDEST_L4T:
        return Finding("board", WARN, text + ": its TensorRT is older than 8.2", "install JetPack 4.6.1 to 4.6.6")
    return Finding("board", OK, text)


def _swap(machine: Machine) -> Optional[Finding]:
    total = re.search(r"^SwapTotal:\s*(\d+) kB", machine.read("/proc/meminfo"), re.MULTILINE)
    if total is None:
        return None
    swap_gib = int(total.group(1)) * 1024 / GIB
    text = "{:.1f} GiB of swap".format(swap_gib)
    if swap_gib >= SWAP_NEEDED_GIB:
        return Finding("swap", OK, text)
    return Finding("swap", WARN, text + ": the build of the engines may be killed for memory",
                   "sudo fallocate -l 4G /swapfile && sudo chmod 600 /swapfile && sudo mkswap /swapfile && "
                   "sudo swapon /swapfile")


def _memory(machine: Machine) -> Optional[Finding]:
    memory = boardfiles.memory_mb(machine.root)
    if "MemAvailable" not in memory:
        return None
    text = "{:.0f} of {:.0f} MB free".format(memory["MemAvailable"], memory.get("MemTotal", 0.0))
    desktop = os.path.basename(os.path.realpath(machine.path("/etc/systemd/system/default.target"))) == "graphical.target"
    if memory["MemAvailable"] < MEMORY_NEEDED_MB and not _service_runs(machine):
        cure = "sudo systemctl set-default multi-user.target, and start again: the desktop takes 250 to 800 MB"
        return Finding("memory", WARN, text + ": the networks and TensorRT's libraries want {}".format(MEMORY_NEEDED_MB),
                       cure if desktop else "end other programs")
    return Finding("memory", OK, text + (", beside a desktop" if desktop else ""))


def _service_runs(machine: Machine) -> bool:
    answer = machine.command("systemctl", "is-active", "nanoface")
    return answer is not None and answer.text == "active"


def _clocks(machine: Machine) -> Optional[Finding]:
    """Whether they are held at their highest. They need not be: then the first frames after a pause take longer."""
    reading = boardfiles.BoardFiles(machine.root).read()
    least, most = reading.gpu_range_mhz
    if reading.gpu_mhz is None or least is None or most is None:
        return None
    text = "GPU at {:.0f} MHz, ".format(reading.gpu_mhz)
    text += "held there" if least == most else "between {:.0f} and {:.0f} as it is needed".format(least, most)
    if reading.governor in SLOW_GOVERNORS:
        return Finding("clocks", WARN, "{}; the CPU is kept slow by the governor {}".format(text, reading.governor),
                       "sudo jetson_clocks, or sudo systemctl enable --now nanoface-clocks")
    return Finding("clocks", OK, text)


def _now(machine: Machine) -> Optional[Finding]:
    """What slows the board down at this moment."""
    reading = boardfiles.BoardFiles(machine.root).read()
    hottest = max(reading.temperatures_c.values(), default=0.0)
    if reading.low_mv is not None:
        return Finding("supply", WARN, "only {:.0f} mV at {}".format(reading.low_mv, boardfiles.INPUT_RAIL),
                       "take a supply of 5 V and 4 A at the barrel jack, with the jumper J48 set")
    if reading.slowed_by:
        return Finding("heat", WARN, "slowed down by {}, {:.0f} C".format(", ".join(sorted(reading.slowed_by)), hottest),
                       "give it a fan or more air, and a supply of 5 V and 4 A")
    return Finding("heat", OK, "{:.0f} C, not slowed down".format(hottest)) if reading.temperatures_c else None


def _power(machine: Machine) -> Optional[Finding]:
    """By nvpmodel's own note of the mode; else by the cores that are on."""
    mode = boardfiles.power_mode(machine.root)
    cores = machine.read("/sys/devices/system/cpu/online")
    cure = "sudo nvpmodel -m 0 (needs a 5 V 4 A supply)"
    if mode is not None:
        number, name = mode
        text = "power mode {}{}".format(number, " " + name if name else "")
        return Finding("power", WARN, text + ": not the fastest", cure) if number else Finding("power", OK, text)
    if not cores:
        return None
    saving = cores in ("0", "0-1")
    text = "cores {} are on{}".format(cores, ": a saving mode" if saving else "")
    return Finding("power", WARN, text, cure) if saving else Finding("power", OK, text)


def _gpu(machine: Machine) -> Optional[Finding]:
    nodes = [n for n in ("/dev/nvhost-gpu", "/dev/nvhost-ctrl-gpu", "/dev/nvmap") if os.path.exists(machine.path(n))]
    if not nodes:
        return None
    closed = [n for n in nodes if not machine.may_use(machine.path(n))]
    if closed:
        return Finding("gpu", WARN, "{} may not be used by this user".format(closed[0]), VIDEO_GROUP)
    return Finding("gpu", OK, "its devices may be used")
