"""Trees of files that are a Nano, commands that print what a test wants, networks and plans: what the doctor checks."""
import hashlib
import json
import os

from edge.doctor.machine import Machine
from edge.sources.live.v4l2 import Camera, Mode
from edge.store import plans
from edge.store.cubin import source_sha256
from edge.store.models import sha256_of

GPU = "sys/devices/57000000.gpu/"
CLOCK = GPU + "devfreq/57000000.gpu/"
THERMAL = "sys/devices/virtual/thermal/"
RAIL = "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/"
CPU = "sys/devices/system/cpu/"
NANO = {
    "proc/device-tree/model": "NVIDIA Jetson Nano Developer Kit\0",
    "etc/nv_tegra_release": "# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref, EABI: aarch64\n",
    "proc/meminfo": "MemTotal:        4059292 kB\nSwapTotal:       6220224 kB\n",
    "var/lib/nvpmodel/status": "pmode:0000 fmode:fanNull\n",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=1 NAME=5W >\n",
    CPU + "online": "0-3\n",
    "dev/nvhost-gpu": "", "dev/nvhost-ctrl-gpu": "", "dev/nvmap": "",
}
MEASURED = {
    "proc/meminfo": "MemTotal: 4059292 kB\nMemAvailable: 2048000 kB\nSwapTotal: 6220224 kB\nSwapFree: 6117824 kB\n",
    CLOCK + "cur_freq": "921600000\n", CLOCK + "min_freq": "76800000\n", CLOCK + "max_freq": "921600000\n",
    GPU + "load": "420\n",
    CPU + "cpu0/cpufreq/scaling_governor": "schedutil\n",
    CPU + "cpu0/cpufreq/scaling_cur_freq": "1428000\n", CPU + "cpu1/cpufreq/scaling_cur_freq": "918000\n",
    THERMAL + "thermal_zone0/type": "AO-therm\n", THERMAL + "thermal_zone0/temp": "41500\n",
    THERMAL + "thermal_zone1/type": "GPU-therm\n", THERMAL + "thermal_zone1/temp": "39000\n",
    THERMAL + "thermal_zone2/type": "PMIC-Die\n", THERMAL + "thermal_zone2/temp": "100000\n",
    THERMAL + "cooling_device0/type": "pwm-fan\n", THERMAL + "cooling_device0/cur_state": "3\n",
    THERMAL + "cooling_device1/type": "gpu-balanced\n", THERMAL + "cooling_device1/cur_state": "0\n",
    RAIL + "rail_name_0": "POM_5V_IN\n", RAIL + "in_power0_input": "4523\n", RAIL + "in_voltage0_input": "5032\n",
    RAIL + "rail_name_1": "POM_5V_GPU\n", RAIL + "in_power1_input": "1210\n", RAIL + "in_voltage1_input": "5010\n",
}
RUNNING = dict(NANO, **MEASURED)
CAMERA = Camera("Test Cam", (Mode("MJPG", 1280, 720, 30.0),))
ROLES = {"detect": "yunet_s", "align": "face_landmark", "pose": "mb05", "iris": "iris_landmark"}


def tree(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    environ = {"NANOFACE_HOME": str(folder / "home"), "XDG_STATE_HOME": str(folder / "state"), "PATH": str(folder / "bin")}
    return Machine(environ, str(folder), ask_camera=lambda path: CAMERA, wall=lambda: 1.8e9)


def command(folder, name, script):
    """A program of the PATH of tree(); `script` is of the shell."""
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n" + script + "\n")
    os.chmod(str(path), 0o755)


def stored(folder, names, damage=()):
    """An index of networks whose files hold their own names."""
    onnx = folder / "home" / "onnx"
    onnx.mkdir(parents=True)
    entries = {}
    for name in names:
        (onnx / (name + ".onnx")).write_text("changed" if name in damage else name)
        entries[name] = {"file": name + ".onnx", "sha256": hashlib.sha256(name.encode()).hexdigest()}
    (onnx / "index.json").write_text(json.dumps({"schema": 1, "networks": entries}))


def planned(folder, roles, **changes):
    """A plan and sidecar of each of `roles`, and the crop kernel; `changes` are keys of the sidecars."""
    home = str(folder / "home")
    (folder / "home" / "plans").mkdir()
    for role in roles:
        network = ROLES[role]
        with open(plans.plan_path(home, role, network), "w") as f:
            f.write("plan of " + network)
        sidecar = {"schema": 1, "role": role, "network": network, "size": len("plan of " + network),
                   "sha256": sha256_of(plans.plan_path(home, role, network)), "tensorrt": "8.2.1.8",
                   "onnx_sha256": hashlib.sha256(network.encode()).hexdigest(), "gpu": "NVIDIA Tegra X1",
                   "compute_capability": "5.3", "precision": "fp16"}
        with open(plans.sidecar_path(home, role, network), "w") as f:
            json.dump(dict(sidecar, **changes), f)
    kernel(folder)


def kernel(folder, code="code", **changes):
    place = folder / "home" / "plans"
    (place / plans.CUBIN).write_text(code)
    sidecar = {"schema": 1, "arch": "sm_53", "size": 4, "sha256": hashlib.sha256(b"code").hexdigest(),
               "source_sha256": source_sha256()}
    (place / plans.CUBIN_SIDECAR).write_text(json.dumps(dict(sidecar, **changes)))
