"""What /proc, /sys, /etc and /dev tell of cameras and of a Jetson board, as findings of `nanoface doctor`; and the
machine that all of its checks look at.

Every path is taken below `Machine.root`, so that tests look at a tree of their own.
"""
import os
import re
import shutil
import subprocess
from glob import glob
from typing import Callable, List, Mapping, NamedTuple, Optional

from edge.core import clock
from edge.sources.live.v4l2 import Camera, by_number, look, ribbon_source, text_of
from edge.telemetry.board import files as boardfiles

OK, WARN, FAIL = "ok", "warn", "fail"
GIB = float(1 << 30)
COMMAND_S = 10.0  # for a command to answer

JETPACK_OF_L4T = {
    "32.6.1": "4.6", "32.7.1": "4.6.1", "32.7.2": "4.6.2", "32.7.3": "4.6.3", "32.7.4": "4.6.4", "32.7.5": "4.6.5",
    "32.7.6": "4.6.6",
}
OLDEST_L4T = (32, 7, 1)  # TensorRT 8.2; plans and Python bindings of earlier ones differ
SWAP_NEEDED_GIB = 3.5  # the build of a plan and its tactics beside the system, on a board of 4 GB
MEMORY_NEEDED_MB = 900
SLOW_GOVERNORS = ("powersave", "conservative")
VIDEO_GROUP = "sudo usermod -aG video $USER, then log out and in again"


class Finding(NamedTuple):
    """One line of the report. `cure` is what to do, "" where nothing is wrong."""

    name: str
    state: str  # OK, WARN: it runs, less well; FAIL: nothing can run
    text: str
    cure: str = ""


class Answer(NamedTuple):
    """What a command said."""

    code: Optional[int]  # its exit code; None where it did not end in time
    text: str  # of both its streams


class Machine(NamedTuple):
    """Where the checks look; tests replace it."""

    environ: Mapping[str, str]
    root: str = "/"
    ask_camera: Callable[[str], Optional[Camera]] = look
    may_use: Callable[[str], bool] = lambda path: os.access(path, os.R_OK | os.W_OK)
    wall: Callable[[], float] = clock.wall

    def path(self, absolute: str) -> str:
        return os.path.join(self.root, absolute.lstrip("/"))

    def read(self, absolute: str) -> str:
        """The text of a small file; "" where it is absent or may not be read."""
        return boardfiles.read_text(self.root, absolute)

    def exists(self, absolute: str) -> bool:
        return os.path.lexists(self.path(absolute))

    def command(self, *words: str, timeout_s: float = COMMAND_S) -> Optional[Answer]:
        """Ask a program of the PATH; None where it is not there."""
        program = shutil.which(words[0], path=self.environ.get("PATH", ""))
        if program is None:
            return None
        try:
            done = subprocess.run([program] + list(words[1:]), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, env=dict(self.environ, LC_ALL="C"), timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return Answer(None, "")
        except OSError:
            return None
        return Answer(done.returncode, done.stdout.decode("utf-8", "replace").strip())


def check_cameras(machine: Machine, spec: Optional[str] = None) -> List[Finding]:
    """One finding for each capture device, or one that says there is none. `spec`: the source that is configured."""
    findings = []
    for path in by_number(glob(machine.path("/dev/video*"))):
        name = "/dev/" + os.path.basename(path)
        try:
            camera = machine.ask_camera(path)
        except PermissionError:
            findings.append(Finding("camera", WARN, "{} may not be opened by this user".format(name), VIDEO_GROUP))
            continue
        except OSError as e:
            findings.append(Finding("camera", WARN, "{}: {}".format(name, e.strerror or e),
                                    "close the program that uses it, or unplug the camera and plug it in again"))
            continue
        if camera is not None and camera.raw:
            findings.append(_ribbon(machine, name, camera.name, (spec or "").strip()))
        elif camera is not None:
            modes = "; " + text_of(camera.modes) if camera.modes else ""
            findings.append(Finding("camera", OK, "{}: {}{}".format(name, camera.name, modes)))
    if not findings:
        findings.append(Finding("camera", WARN, "none is connected",
                                "plug in a USB camera, or try without one: nanoface run --source portrait"))
    return findings


def _ribbon(machine: Machine, device: str, name: str, spec: str) -> Finding:
    """A warning where the source that is configured, or looked for, is this node, which OpenCV cannot read."""
    source = ribbon_source(machine.path(device), machine.ask_camera)
    text = "{}: {}, a ribbon camera, which is read as {}".format(device, name, source)
    named = "/dev/video" + spec if spec.isdigit() else spec or device
    if os.path.realpath(machine.path(named)) != os.path.realpath(machine.path(device)):
        return Finding("camera", OK, text)
    return Finding("camera", WARN, text, "nanoface run --source {0}; for the service source.spec: {0}".format(source))


def is_jetson(machine: Machine) -> bool:
    return boardfiles.is_jetson(machine.root)


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
