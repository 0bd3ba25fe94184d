"""A run of the tests apart from its machine: nothing of its user's own is read, nothing is left behind.

What the tests put into a temporary or a home folder lies in one folder of the run, which goes with it; of pytest's own folders
those of the first failed tests stay. What is there at the end all the same - a process, a mount, large files - fails the run.
"""
import glob
import os
import shutil
import stat
import tempfile
import time
from contextlib import suppress

import pytest
from patience import wait_until

PREFIX, BASE = "nanoface-tests-", "base"  # of a run's folder, which has a link to pytest's
LARGE = 50 * 2 ** 20  # bytes; no test needs to leave that much
KEPT_FAILURES = 8  # folders of failed tests, of at most LARGE bytes each
MARK = "TESTS_OF_NANOFACE"  # in the environment of all that this run starts
OURS = ("NANOFACE_MIRROR", "NANOFACE_TEST_")
THE_USERS = ("NANOFACE_", "XDG_", "NOTIFY_", "WATCHDOG_", "LISTEN_", "SDL_", "DISPLAY", "WAYLAND_", "JOURNAL_STREAM",
             "INVOCATION_ID", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "PYTHONDONTWRITEBYTECODE")
TRACKERS = (b"multiprocessing.resource_tracker", b"multiprocessing.semaphore_tracker")  # end with us
NOT_LOOKED_AT = ("onnx", "plans", "cache")  # of the checkout: what `nanoface models fetch` and `build` made


def isolate(folder, environ):
    """Change `environ` so that nothing of the user's own is found with it. `folder` gets a home/ and a tmp/."""
    user_cache = environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    user_pip = os.path.join(environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"), "pip", "pip.conf")
    for name in [name for name in environ if name.startswith(THE_USERS) and not name.startswith(OURS)]:
        del environ[name]
    for name, variable in (("home", "HOME"), ("tmp", "TMPDIR")):
        environ[variable] = os.path.join(folder, name)
        os.mkdir(environ[variable])
        os.chmod(environ[variable], 0o755)
    environ.setdefault("NANOFACE_TEST_CACHE", user_cache)  # of trees that take minutes to make
    if os.path.exists(user_pip):
        environ.setdefault("PIP_CONFIG_FILE", user_pip)  # where its packages come from
    hosts = [environ[name] for name in ("no_proxy", "NO_PROXY") if environ.get(name)]
    environ["no_proxy"] = environ["NO_PROXY"] = ",".join(hosts[:1] + ["127.0.0.1", "localhost", "::1"])
    environ[MARK] = folder


class Apart:
    """A plugin of pytest; `root` is the checkout, `ending_s` is for processes that have just been told to end."""

    def __init__(self, root, ending_s=10.0):
        self._root, self._began_at, self._ending_s = root, time.time(), ending_s
        remove_those_of_killed_runs(tempfile.gettempdir())
        self._folder = tempfile.mkdtemp(prefix="{}{}-".format(PREFIX, os.getpid()))
        os.chmod(self._folder, 0o755)  # other accounts that a test starts as may enter
        self._base = self._asked = None  # pytest's folder of this run, and whether somebody named it
        self._failed, self._kept, self._faults = set(), [], []

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session):
        self._asked = session.config.option.basetemp
        self._base = str(session.config._tmp_path_factory.getbasetemp())  # where it always lies
        os.symlink(self._base, os.path.join(self._folder, BASE))
        isolate(self._folder, os.environ)
        tempfile.tempdir = None  # is looked up anew

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item):
        report = (yield).get_result()
        if report.failed:
            self._failed.add(item.nodeid)
        path = (getattr(item, "funcargs", None) or {}).get("tmp_path")
        if report.when == "teardown" and path is not None and not self._asked:
            if item.nodeid in self._failed and len(self._kept) < KEPT_FAILURES and total(str(path)) <= LARGE:
                self._kept.append(str(path))
            else:
                empty(str(path))  # and it stays: no other test gets its name

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session):
        for folder, since in ((self._folder, 0.0), (self._root, self._began_at)):
            found = sizes(folder, since)
            if sum(found.values()) > LARGE:
                most = sorted(found, key=found.get)[-5:]
                self._faults.append("large files are left in {}: {}".format(
                    folder, ", ".join("{} ({} MB)".format(name, found[name] >> 20) for name in most)))
        self._faults += ["a process is left: " + text for text in left_processes(self._folder, self._ending_s)]
        mounts = ["a mount is left: " + path for path in mounted_below(self._folder, self._base)]
        self._faults += mounts
        if not mounts:  # else something of another file system would be removed
            empty(self._folder, itself=True)
            if not self._asked:
                empty(self._base, self._kept, itself=not self._kept)
        if self._faults and not session.exitstatus:
            session.exitstatus = 1

    def pytest_terminal_summary(self, terminalreporter):
        if self._faults:
            terminalreporter.section("left behind", red=True)
            terminalreporter.write_line("\n".join(self._faults), red=True)


def remove_those_of_killed_runs(temporary):
    for folder in glob.glob(os.path.join(temporary, PREFIX + "*")):
        pid = os.path.basename(folder)[len(PREFIX):].split("-")[0]
        if os.stat(folder).st_uid == os.getuid() and not os.path.exists("/proc/" + pid) and os.path.exists("/proc/self"):
            base = os.path.join(folder, BASE)
            for path in (os.path.realpath(base), folder) if os.path.islink(base) else (folder,):
                if os.path.isdir(path) and not mounted_below(path):
                    empty(path, itself=True)


def sizes(folder, since=0.0):
    """{name in the folder: bytes on the disk of what was changed since}, without what is hidden or was fetched and built."""
    found = {}
    for place, inner, names in os.walk(folder):
        if folder == place:
            inner[:] = [name for name in inner if not name.startswith(".")]
        inner[:] = [name for name in inner if name not in NOT_LOOKED_AT]
        for name in names:
            about = os.lstat(os.path.join(place, name))
            if stat.S_ISREG(about.st_mode) and about.st_mtime >= since:
                top = os.path.relpath(os.path.join(place, name), folder).split(os.sep)[0]
                found[top] = found.get(top, 0) + about.st_blocks * 512
    return found


def total(folder):
    return sum(sizes(folder).values())


def empty(folder, but=(), itself=False):
    """Remove what is in it, also where a test took the right to do so away; `but`: entries that stay."""
    for place, inner, _ in os.walk(folder):
        for name in inner:
            path = os.path.join(place, name)
            if not os.path.islink(path) and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
                os.chmod(path, 0o700)
    for entry in os.scandir(folder):
        if entry.path in but:
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            with suppress(FileNotFoundError):  # another run beside this one may tidy up too
                os.unlink(entry.path)
    if itself:
        shutil.rmtree(folder, ignore_errors=True)


def left_processes(mark, ending_s):
    """What this run started and what still goes on a while after it: number, words, and the test that it comes from."""
    try:
        wait_until(lambda: not ours(mark), patience_s=ending_s)
    except AssertionError:
        return ["{} {} ({})".format(pid, *told) for pid, told in sorted(ours(mark).items())]
    return []


def ours(mark):
    """{number: (words, test)} of our children's children, and of whoever has our mark and lost its parent."""
    mark, found, parents = "{}={}".format(MARK, mark).encode(), {}, {}
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()] if os.path.isdir("/proc/self") else ():
        try:
            with open("/proc/{}/stat".format(pid), "rb") as f:
                state, parents[pid] = f.read().rsplit(b")", 1)[1].split()[:2]
            with open("/proc/{}/cmdline".format(pid), "rb") as f:
                words = f.read().replace(b"\0", b" ").strip()
            with open("/proc/{}/environ".format(pid), "rb") as f:
                variables = f.read().split(b"\0")
        except OSError:
            continue  # it has ended, or is somebody else's
        if state != b"Z" and not any(tracker in words for tracker in TRACKERS):
            test = [v[len(b"PYTEST_CURRENT_TEST="):].decode() for v in variables if v.startswith(b"PYTEST_CURRENT_TEST=")]
            found[pid] = (words.decode(errors="replace"), "".join(test) or "?", mark in variables)
    return {pid: told[:2] for pid, told in found.items()
            if pid != os.getpid() and (told[2] or os.getpid() in ancestors(pid, parents))}


def ancestors(pid, parents):
    found = []
    while pid in parents and pid not in found:
        found.append(pid)
        pid = int(parents[pid])
    return found[1:] + [pid]


def mounted_below(*folders):
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="replace") as f:
            places = [line.split(" ")[1] for line in f]
    except OSError:
        return []
    return [place for place in places if place.startswith(tuple(folder + os.sep for folder in folders))]
