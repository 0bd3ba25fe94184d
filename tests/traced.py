"""A process as if on a machine of its own: where it may write, whom it looked up or connected to, what it left behind.

Whom it asked is seen by strace. Where that is not installed, or may not trace, only what lies in the home folder is seen; the
runtimes write there before they ask anyone.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
from collections import namedtuple

from whole_runs import PATIENCE_S, Done, python_path

KEPT = ("PATH", "LD_LIBRARY_PATH", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")  # not CI, where the runtimes keep still
ASKING = "connect sendto sendmsg sendmmsg"
WRITING = ("open openat openat2 creat truncate mkdir mkdirat mknod mknodat rename renameat renameat2 link linkat symlink "
           "symlinkat")
STRACE = ("strace", "-ff", "-qq", "-y", "-s", "4096", "-e", "signal=none", "-e",
          "trace=" + ",".join("?" + name for name in (ASKING + " " + WRITING).split()))
CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+|\?)(?:<(.*?)>)?")
INTERNET = re.compile(r"sa_family=AF_INET6?, .*?\}")
RESOLVER = re.compile(r'"/etc/resolv\.conf"|sun_path="[^"]*resolve')  # that of the C library, of curl, of systemd
PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)(?:<([^>]*)>)?, )?"((?:[^"\\]|\\.)*)"')
TO_WRITE = re.compile(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)")
NO_FILES = ("/dev/null", "/dev/tty", "/dev/pts/", "/proc/")
QUICKLY = ("--seccomp-bpf", "-f")  # stops a process at those calls alone; older ones stop it at every call

# asked: calls that look a host up or reach for one; written: paths; home: files left in the home folder; temporary: in TMPDIR
Seen = namedtuple("Seen", "done asked written home temporary")


def can_trace(*options):
    """A container may forbid it; an old strace may not know the options."""
    return bool(shutil.which("strace")) and subprocess.call(
        ("strace", "-o", os.devnull) + options + ("true",), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


def watch(folder, words, **more):
    """Run Python with `words` to its end in `folder`, which gets its home/, tmp/ and the traces. Seen."""
    work, home, temporary, traces = (os.path.join(folder, name) for name in ("work", "home", "tmp", "traces"))
    for path in (work, home, temporary, traces):
        os.mkdir(path)
    env = {name: os.environ[name] for name in KEPT if name in os.environ}
    env.update(PYTHONPATH=python_path(), PYTHONDONTWRITEBYTECODE="1", HOME=home, TMPDIR=temporary)
    env.update(more)
    tracer = STRACE + (QUICKLY if can_trace(*QUICKLY) else ()) + ("-o", os.path.join(traces, "of")) if can_trace() else ()
    ran = subprocess.run(tracer + (sys.executable,) + tuple(words), cwd=work, env=env, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=PATIENCE_S)
    asked, written = [], set()
    for path in glob.glob(os.path.join(traces, "of.*")):
        with open(path, encoding="utf-8", errors="replace") as f:
            for line in f:
                asked += [line.strip()] if INTERNET.search(line) or RESOLVER.search(line) else []
                written.update(written_by(line, work))
    return Seen(Done(work, ran.returncode, ran.stdout, ran.stderr), asked, written, inside(home), inside(temporary))


def written_by(line, work):
    """The paths that a call made or opened for writing; `work` is the folder of those that are relative."""
    call = CALL.match(line)
    if not call or call.group(1) not in WRITING.split() or call.group(3) == "-1":
        return []
    name, words, _, opened = call.groups()
    if name.startswith("open") and not TO_WRITE.search(words):
        return []
    found = [opened] if opened else [os.path.join(base or work, path) for base, path in PATH.findall(words)]
    return [os.path.normpath(path) for path in found if not path.startswith(NO_FILES)]


def inside(folder):
    """Its files, and the folders that are empty, as paths below it."""
    return sorted(os.path.relpath(place, folder) if not names else os.path.relpath(os.path.join(place, name), folder)
                  for place, inner, names in os.walk(folder) if names or not inner and place != folder
                  for name in names or [""])
