"""A program whose wall clock is stepped while it runs, and how long its records, status log and signs of life pause.

By hand: `PYTHONPATH=tests python tests/pipeline/stepped_clock.py [seconds a step]`, for the interpreter that runs it.
"""
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

import kills

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS_S = (-240, -3600, 8 * 366 * 86400)
RECORDS, STATUS, ALIVE = "records", "status log", "signs of life"


def build(folder):
    """The library to preload; None where there is no C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    library = os.path.join(folder, "stepped_clock.so")
    subprocess.check_call([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library,
                           os.path.join(HERE, "stepped_clock.c")])
    return library


class Stepped:
    """A live run under a service manager that wants a sign of life a second; `more` are variables of its environment."""

    def __init__(self, folder, library, **more):
        self._clock = os.path.join(folder, "clock")
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(os.path.join(folder, "manager"))
        self._manager.setblocking(False)
        self._files = {RECORDS: os.path.join(folder, kills.RECORDS), STATUS: os.path.join(folder, kills.STATUS)}
        self._sizes = dict.fromkeys(self._files, 0)
        self.ahead_s = 0
        self.step(0)
        self.process = kills.start(
            folder, ["--loop", "--realtime"], LD_PRELOAD=library, NANOFACE_TEST_CLOCK=self._clock,
            NOTIFY_SOCKET=os.path.join(folder, "manager"), WATCHDOG_USEC="2000000", **more)

    def step(self, seconds):
        """The wall clock goes forward at once, or back."""
        self.ahead_s += seconds
        mode = "r+b" if os.path.exists(self._clock) else "wb"
        with open(self._clock, mode) as f:
            f.write(struct.pack("q", self.ahead_s))

    def pauses(self, enough, timeout_s):
        """{what: the longest pause in seconds} from now until each of the three came `enough` times, or the time is over."""
        began = time.monotonic()
        last_at, longest_s = dict.fromkeys((RECORDS, STATUS, ALIVE), began), {}
        left = dict.fromkeys(last_at, enough)
        while max(left.values()) > 0 and time.monotonic() - began < timeout_s and self.process.poll() is None:
            time.sleep(0.02)
            now, came = time.monotonic(), self._came()
            for what in left:
                longest_s[what] = max(longest_s.get(what, 0.0), now - last_at[what])
                if what in came:
                    last_at[what], left[what] = now, left[what] - 1
        return longest_s

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self._manager.close()

    def _came(self):
        found = set()
        for what, path in self._files.items():
            size = os.path.getsize(path) if os.path.exists(path) else 0
            if size != self._sizes[what]:
                found.add(what)
            self._sizes[what] = size
        while True:
            try:
                if b"WATCHDOG=1" in self._manager.recv(4096):
                    found.add(ALIVE)
            except BlockingIOError:
                return found


def main(seconds):
    folder = tempfile.mkdtemp()
    stepped = Stepped(folder, build(folder))
    try:
        print("Python {}.{}.{}".format(*sys.version_info[:3]))
        stepped.pauses(3, kills.PATIENCE_S)
        for step_s in (0,) + STEPS_S + (-STEPS_S[-1],):
            stepped.step(step_s)
            longest_s = stepped.pauses(sys.maxsize, seconds)
            print("{:>12} s: ".format(step_s) + ", ".join("{} {:.2f} s".format(*item) for item in longest_s.items()))
        stepped.step(-3600)
        print("SIGTERM after one more hour back: {:.2f} s".format(kills.terminated(stepped.process)))
    finally:
        stepped.close()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(float((sys.argv[1:] or ["10"])[0]))
