"""The board's user space as a folder: Ubuntu 18.04 with systemd 237 and Python 3.6, as JetPack 4.6 has them, made once.

It lies in a cache outside the checkout ($XDG_CACHE_HOME or ~/.cache, `nanoface/`); its name changes with its recipe.
"""
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys

import pytest

SUITE, MIRROR = "bionic", "http://archive.ubuntu.com/ubuntu"
PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv,python3-yaml,libglib2.0-0"
# of its first release, which does not change any more: debootstrap checks everything else against this file
RELEASE = "var/lib/apt/lists/archive.ubuntu.com_ubuntu_dists_bionic_Release"
RELEASE_SHA256 = "7552d5ab0c3879756a860aaab8e7c2f8ffb9409ea9ff9e65fc046ba5c519ebe5"
# in the place of JetPack's numpy, OpenCV and TensorRT, where every Python of the system sees them
WHEELS = ("numpy==1.19.5", "opencv-python-headless==4.1.1.26", "onnxruntime==1.10.0", "protobuf==3.19.6", "flatbuffers==2.0")
WHEEL_KIND = ("--platform", "manylinux2014_x86_64", "--python-version", "3.6", "--implementation", "cp",
              "--abi", "cp36m", "--abi", "abi3", "--abi", "none", "--only-binary=:all:", "--no-deps")
DIST_PACKAGES = "usr/local/lib/python3.6/dist-packages"
MACHINE_ID = "6e616e6f666163656e616e6f66616365"
TOOLS = ("debootstrap", "unshare", "nsenter", "setpriv", "mount", "chroot", "ip")
PATIENCE_S = 600


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


def board_tree():
    """The path of the tree. Skips by name where it cannot be made: nobody may write to it."""
    recipe = repr((SUITE, MIRROR, PACKAGES, RELEASE_SHA256, WHEELS, MACHINE_ID))
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "nanoface")
    tree = os.path.join(cache, "{}-{}".format(SUITE, hashlib.sha256(recipe.encode("ascii")).hexdigest()[:12]))
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(tree):
            part = tree + ".part"
            shutil.rmtree(part, ignore_errors=True)
            _make(part)
            os.rename(part, tree)
    return tree


def _make(tree):
    _run("debootstrap", "--foreign", "--no-check-gpg", "--variant=minbase", "--components=main,universe",
         "--include=" + PACKAGES, SUITE, tree, MIRROR)
    with open(os.path.join(tree, RELEASE), "rb") as f:
        found = hashlib.sha256(f.read()).hexdigest()
    assert found == RELEASE_SHA256, "{} serves another {} than it did: {}".format(MIRROR, SUITE, found)
    _run("chroot", tree, "/debootstrap/debootstrap", "--second-stage")
    target = os.path.join(tree, DIST_PACKAGES)
    _run(sys.executable, "-m", "pip", "install", "--quiet", "--target", target, *WHEEL_KIND + WHEELS)
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


def _run(*words):
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C", PATH=os.environ["PATH"] + ":/usr/sbin:/sbin:/bin")
    done = subprocess.run(words, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=PATIENCE_S)
    if done.returncode != 0:
        last = (done.stdout.strip().split("\n") or [""])[-1]
        pytest.skip("the tree for a whole boot cannot be made here: {}: {}".format(words[0], last))
