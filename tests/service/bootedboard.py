"""A board's user space, booted: systemd is process 1 of namespaces of its own, its disk a layer over the tree.

What a power cut or reboot keeps is in the layer. Nothing of it is left when close() returns: processes, control groups and
mounts end with the namespaces.
"""
import ctypes
import os
import signal
import subprocess
import time

from patience import PATIENCE_S, stretch

PROJECT = "/srv/checkout"  # the checkout, as somebody's clone lies on a board; read-only
MEDIA = "/srv/media"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PR_SET_PDEATHSIG = 1

# $1 tree, $2 folder of this board, $3 checkout, $4 PATH inside
BOOT = r"""
set -e
root=$2/root
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/disk,workdir=$2/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for file in sys sysrq-trigger; do  # of the whole machine: a boot must not tune it
    [ -e "$root/proc/$file" ] || continue
    mount --bind "$root/proc/$file" "$root/proc/$file"
    mount -o remount,bind,ro "$root/proc/$file"
done
mount -o remount,bind,ro "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom tty; do
    : > "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mkdir -p "$root/srv/checkout"
mount --bind "$3" "$root/srv/checkout"
mount -o remount,bind,ro "$root/srv/checkout"
hostname board
ip link set lo up
mkdir -p "$root/mnt/outside"
cd "$root"
# the machine's own disk is out of reach then, also for root
exec env -i container=test "PATH=$4" setpriv --bounding-set -sys_time,-sys_module,-sys_rawio sh -c '
    pivot_root . mnt/outside
    exec chroot . /bin/sh -c "umount -l /mnt/outside && exec /lib/systemd/systemd --system --show-status=false"'
"""


class Done:
    """A command that has ended inside."""

    def __init__(self, words, code, out):
        self.words, self.code, self.out = words, code, out

    def __repr__(self):
        return "{} -> {}\n{}".format(" ".join(self.words), self.code, self.out)


class BootedBoard:
    def __init__(self, tree, folder, checkout):
        self._tree, self.folder, self._checkout = tree, str(folder), checkout
        for name in ("root", "disk", "work"):
            os.makedirs(os.path.join(self.folder, name))
        self._group = own_group()
        self._process, self.manager = None, 0
        self.console = os.path.join(self.folder, "console.log")

    def layer(self, path):
        """The same before the power is on: it lies over the tree, behind its links (/lib is one on a newer Debian)."""
        parts = path.strip("/").split("/")
        link = os.path.join(self._tree, parts[0])
        if os.path.islink(link):
            parts[0] = os.readlink(link).strip("/")
        return os.path.join(self.folder, "disk", *parts)

    def put(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(self.layer(path)), exist_ok=True)
        with open(self.layer(path), "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(self.layer(path), mode)

    def disk(self, path):
        """Where a file of the running board is seen from outside."""
        return "/proc/{}/root{}".format(self.manager, path)

    def power_on(self):
        """Returns when systemd has reached its target."""
        os.makedirs(self._group, exist_ok=True)
        with open(self.console, "ab") as console:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--net", "--cgroup",
                 "sh", "-c", BOOT, "boot", self._tree, self.folder, self._checkout, PATH],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, preexec_fn=self._enter, start_new_session=True)
        self.manager = wait_for(self._child, "process 1")
        try:
            wait_for(lambda: self.run("systemctl", "is-system-running", check=False).out.strip() in ("running", "degraded"),
                     "the end of the boot")
        except AssertionError as e:
            raise AssertionError("{}\n{}".format(e, self.story()))

    def story(self):
        """What a failure is understood by."""
        asked = (("systemctl", "list-jobs", "--no-pager"), ("ps", "-e", "-o", "pid,stat,wchan:20,args"),
                 ("systemctl", "--no-pager", "status", "nanoface"), ("journalctl", "--no-pager", "--boot", "--lines", "60"))
        return "\n".join(repr(self.run(*words, check=False)) for words in asked) + "\n" + tail(self.console)

    def run(self, *words, **more):
        """A command inside, as root. more: check (True: must end with 0), env."""
        inside = ["nsenter", "-t", str(self.manager), "-m", "-p", "-u", "-i", "-n", "-C", "-r", "-w", "--",
                  "env", "-i", "PATH=" + PATH, "HOME=/var/tmp", "LC_ALL=C.UTF-8"]
        inside += ["{}={}".format(*pair) for pair in more.get("env", {}).items()] + list(words)
        done = subprocess.run(inside, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              encoding="utf-8", errors="replace", timeout=PATIENCE_S)
        result = Done(words, done.returncode, done.stdout)
        assert not more.get("check", True) or result.code == 0, result
        return result

    def show(self, unit, *names):
        """Properties of a unit, as `systemctl show` has them."""
        out = self.run("systemctl", "show", unit, "--property=" + ",".join(names)).out
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    def read(self, path):
        with open(self.disk(path), encoding="utf-8") as f:
            return f.read()

    def write(self, path, text):
        with open(self.disk(path), "w", encoding="utf-8") as f:
            f.write(text)

    def wait_off(self):
        """The board has shut down by itself, as at a reboot."""
        self._process.wait(PATIENCE_S)
        self._sweep()

    def close(self):
        """Cut the power."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()  # takes process 1 with it, and that one everything else inside
            self._process.wait(PATIENCE_S)
        self._sweep()

    def _enter(self):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        with open(os.path.join(self._group, "cgroup.procs"), "w", encoding="ascii") as f:
            f.write("0")

    def _child(self):
        assert self._process.poll() is None, "no boot: " + tail(self.console)
        pid = self._process.pid
        with open("/proc/{0}/task/{0}/children".format(pid), encoding="ascii") as f:
            children = f.read().split()
        if not children:
            return None
        with open("/proc/{}/cmdline".format(children[0]), "rb") as f:
            return int(children[0]) if f.read().startswith(b"/lib/systemd/systemd") else None

    def _sweep(self):
        """The control groups that systemd made below ours, innermost first; they are empty a moment after the end."""
        deadline = time.monotonic() + PATIENCE_S
        while os.path.isdir(self._group):
            for folder, _, _ in os.walk(self._group, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    assert time.monotonic() < deadline, "{} does not get empty".format(folder)
            time.sleep(0.02)


def own_group():
    """A path for a control group in the unified hierarchy."""
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        mounts = [line.split() for line in f]
    points = [words[4] for words in mounts if words[words.index("-") + 1] == "cgroup2"]
    assert points, "no cgroup2 is mounted"
    return os.path.join(points[0], "nanoface-test-{}".format(os.getpid()))


def wait_for(question, what, patience_s=PATIENCE_S, every_s=0.1):
    """The first answer that is true."""
    deadline = time.monotonic() + patience_s * stretch()
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < deadline, "waited {:g} s for {}".format(patience_s, what)
        time.sleep(every_s)


def tail(path, size=3000):
    with open(path, "rb") as f:
        return f.read()[-size:].decode("utf-8", "replace")
