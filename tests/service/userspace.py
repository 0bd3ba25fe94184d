"""A user space to boot, as a folder that is made once: Debian as this machine's own package sources have it.

Where $NANOFACE_BIONIC_MIRROR names a mirror of Ubuntu's archive it is Ubuntu 18.04, with systemd 237 and Python 3.6 as
JetPack 4.6 has them. The folder lies in a cache outside the checkout ($XDG_CACHE_HOME or ~/.cache, `nanoface/`); its name
changes with its recipe.
"""
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest

# `checks`: for debootstrap; a Debian is checked by its key, which this machine has. The wheels
# stand in the place of what JetPack brings, where every Python of the system sees them; onnx is for the simulator of TensorRT
Recipe = namedtuple("Recipe", "suite mirror components checks python wheels wheel_kind")
BIONIC = "NANOFACE_BIONIC_MIRROR"
BIONIC_RELEASE_SHA256 = "7552d5ab0c3879756a860aaab8e7c2f8ffb9409ea9ff9e65fc046ba5c519ebe5"
PACKAGES = "systemd,systemd-sysv,dbus,procps,python3,python3-venv,python3-yaml,libglib2.0-0"
OLD_WHEELS = ("numpy==1.19.5", "opencv-python-headless==4.1.1.26", "onnxruntime==1.10.0", "protobuf==3.19.6",
              "flatbuffers==2.0", "onnx==1.11.0", "typing-extensions==4.1.1", "python-osc==1.8.1")
WHEELS = ("numpy>=1.26,<2.4", "opencv-python-headless>=4.8,<4.12", "onnxruntime>=1.17,<2", "protobuf",
          "flatbuffers", "packaging", "onnx", "ml-dtypes", "typing-extensions", "python-osc>=1.8,<2", "paho-mqtt>=1.6,<3",
          "aiohttp>=3.11,<4", "aiohappyeyeballs", "aiosignal", "attrs", "frozenlist", "idna", "multidict", "propcache", "yarl")
PYTHON_OF = {"bookworm": "3.11", "trixie": "3.13"}  # of Debian's releases
MACHINE_ID = "6e616e6f666163656e616e6f66616365"
TOOLS = ("debootstrap", "unshare", "nsenter", "setpriv", "mount", "chroot", "ip")
PATIENCE_S = 600


def recipe():
    """What the tree is made of. Skips by name where this machine has no package sources that are known."""
    mirror = os.environ.get(BIONIC)
    if mirror:
        kind = ("--platform", "manylinux2014_x86_64", "--implementation", "cp", "--abi", "cp36m", "--abi", "abi3",
                "--abi", "none")
        return Recipe("bionic", mirror, "main,universe", ("--no-check-gpg",), "3.6", OLD_WHEELS, kind)
    if shutil.which("apt-get") is None:
        pytest.skip("the tree for a whole boot is made of this machine's Debian packages: there is no apt-get")
    targets = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8").stdout.splitlines()
    for uri, suite, component in (line.split() for line in targets if len(line.split()) == 3):
        if suite in PYTHON_OF and component == "main":
            kind = ("--platform", "manylinux_2_28_x86_64", "--platform", "manylinux_2_27_x86_64",
                    "--platform", "manylinux2014_x86_64", "--implementation", "cp",
                    "--abi", "cp" + PYTHON_OF[suite].replace(".", ""), "--abi", "abi3", "--abi", "none")
            return Recipe(suite, uri, "main", (), PYTHON_OF[suite], WHEELS, kind)
    pytest.skip("the tree for a whole boot is made of Debian packages: the sources of this machine have none of {}".format(
        " or ".join(sorted(PYTHON_OF))))


def need_machine():
    """Skips by name where no whole boot can be tried."""
    if sys.version_info < (3, 7):
        pytest.skip("the whole boot is tried once, by the tests on the host's Python: inside it is Python 3.6 anyway")
    if os.geteuid() != 0:
        pytest.skip("a whole boot needs root")
    if platform.machine() != "x86_64":
        pytest.skip("the tree for a whole boot is made of x86_64 packages")
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent:
        pytest.skip("a whole boot needs {} (apt-get install debootstrap util-linux iproute2)".format(", ".join(absent)))
    with open("/proc/filesystems", encoding="ascii") as f:
        known = f.read().split()
    if not {"overlay", "cgroup2"} <= set(known):
        pytest.skip("a whole boot needs overlay and cgroup2 of the kernel")


def user_space():
    """The path of the tree. Skips by name where it cannot be made: nobody may write to it."""
    made_of = recipe()
    digest = hashlib.sha256(repr((made_of, PACKAGES, MACHINE_ID)).encode("ascii")).hexdigest()[:12]
    caches = os.environ.get("NANOFACE_TEST_CACHE") or os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    cache = os.path.join(caches, "nanoface")
    tree = os.path.join(cache, "{}-{}".format(made_of.suite, digest))
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(tree):
            part = tree + ".part"
            shutil.rmtree(part, ignore_errors=True)
            _make(made_of, part)
            os.rename(part, tree)
    return tree


def _make(made_of, tree):
    _run("debootstrap", "--foreign", "--variant=minbase", "--components=" + made_of.components,
         "--include=" + PACKAGES, *made_of.checks + (made_of.suite, tree, made_of.mirror))
    if made_of.suite == "bionic":
        _check_release(tree)
    _run("chroot", tree, "/debootstrap/debootstrap", "--second-stage")
    target = os.path.join(tree, "usr/local/lib/python{}/dist-packages".format(made_of.python))
    _run(sys.executable, "-m", "pip", "install", "--quiet", "--target", target, "--python-version", made_of.python,
         "--only-binary=:all:", "--no-deps", *made_of.wheel_kind + made_of.wheels)
    for name in os.listdir(os.path.join(tree, "var/cache/apt/archives")):
        if name.endswith(".deb"):
            os.unlink(os.path.join(tree, "var/cache/apt/archives", name))
    with open(os.path.join(tree, "etc/machine-id"), "w", encoding="ascii") as f:  # without one it would be a first boot
        f.write(MACHINE_ID + "\n")
    with open(os.path.join(tree, "etc/hostname"), "w", encoding="ascii") as f:
        f.write("board\n")
    for unit in ("console-getty.service", "systemd-resolved.service", "systemd-networkd.service",
                 "apt-daily.timer", "apt-daily-upgrade.timer", "motd-news.timer"):
        path = os.path.join(tree, "etc/systemd/system", unit)
        if os.path.lexists(path):
            os.unlink(path)
        os.symlink("/dev/null", path)


def _check_release(tree):
    """The archive's first release does not change any more: debootstrap has checked everything else against this file."""
    lists = os.path.join(tree, "var/lib/apt/lists")
    found = [name for name in os.listdir(lists) if name.endswith("_dists_bionic_Release")]
    assert len(found) == 1, found
    with open(os.path.join(lists, found[0]), "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    assert digest == BIONIC_RELEASE_SHA256, "{} serves another bionic than it did: {}".format(BIONIC, digest)


def _run(*words):
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C", PATH=os.environ["PATH"] + ":/usr/sbin:/sbin:/bin")
    done = subprocess.run(words, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          encoding="utf-8", errors="replace", timeout=PATIENCE_S)
    if done.returncode != 0:
        last = (done.stdout.strip().split("\n") or [""])[-1]
        pytest.skip("the tree for a whole boot cannot be made here: {}: {}".format(words[0], last))
