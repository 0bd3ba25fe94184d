"""Settings of this process and its children that are made before numpy, OpenCV or a runtime is loaded.

The command line calls prepare_process() first of all; nothing heavy may be imported until it has.
"""
import ctypes
import os
import platform
import site
import sys
from contextlib import suppress

from edge.host.analytics import switch_off_analytics

BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
TEGRA_RELEASE = "/etc/nv_tegra_release"
DEVICE_TREE = "/proc/device-tree/compatible"
CODE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # the folder that holds our packages
PR_SET_PDEATHSIG = 1  # linux/prctl.h
F_SETPIPE_SZ = 1031  # linux/fcntl.h
LARGEST_PIPE_BYTES = 1 << 20  # that Linux allows everybody


def prepare_process() -> None:
    """Set what libraries read while they are loaded; what the user has set stays."""
    for name in BLAS_THREADS:  # idle worker threads of theirs spin, which doubles the CPU use
        os.environ.setdefault(name, "1")
    if is_tegra():  # OpenBLAS in numpy 1.19.5 takes the Nano's cores for others and dies of it; a PC's does not know the name
        os.environ.setdefault("OPENBLAS_CORETYPE", "ARMV8")
    switch_off_analytics()
    _leave_user_site()


def is_tegra() -> bool:
    """Whether this machine, or the one below this container, is a Jetson."""
    if platform.machine() != "aarch64":
        return False
    if os.path.exists(TEGRA_RELEASE):  # not in every container; Docker hides the device tree as well, and never the kernel
        return True
    with suppress(OSError), open(DEVICE_TREE, "rb") as f:
        if b"nvidia,tegra" in f.read():
            return True
    return platform.release().endswith("-tegra")


def _leave_user_site() -> None:
    """~/.local goes before JetPack's packages in an environment that sees the system's, and a service does not see it.

    Taken off the path, not left by starting Python again with -s: so it holds however this process was started. Outside an
    environment it stays, as what `pip install --user` put there is all that there is.
    """
    if sys.prefix == sys.base_prefix and not sys.flags.no_user_site:
        return
    os.environ["PYTHONNOUSERSITE"] = "1"  # for the children
    if site.ENABLE_USER_SITE and site.getusersitepackages() in sys.path:
        first = sys.path.index(site.getusersitepackages())
        system = set(site.getsitepackages())  # follow it; between are the folders that its .pth files name
        last = next((i for i in range(first, len(sys.path)) if sys.path[i] in system), len(sys.path))
        del sys.path[first:last]


def follow_parent(parent: int, wake: int) -> None:
    """In a child process: Linux sends it the signal `wake` when its parent ends, however it does. Exits where the process with
    that number has ended already.
    """
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, wake, 0, 0, 0)
    except (AttributeError, OSError, TypeError):
        pass  # not Linux
    if os.getppid() != parent:
        sys.exit(1)


def widen(fd: int) -> None:
    """So that a whole picture of 640x480 goes into a pipe at once and its writer need not wait. Stays as it is where that
    cannot be.
    """
    if sys.platform.startswith("linux"):
        import fcntl

        with suppress(OSError):
            fcntl.fcntl(fd, F_SETPIPE_SZ, LARGEST_PIPE_BYTES)
