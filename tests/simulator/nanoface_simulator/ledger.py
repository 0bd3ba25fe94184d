"""The books of the simulator: who broke which rule of CUDA or TensorRT, and what is still alive."""
import atexit
import gc
import json
import os
import sys
import threading
import weakref

from . import settings

MOST_TEXTS = 200  # of violations that are kept; all are counted
_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Ledger:
    """One for the process, see `ledger` below."""

    def __init__(self):
        self._lock = threading.RLock()  # also taken by finalizers, which may come in the middle of anything
        self._alive = {}  # kind -> weak references by id
        self._watching = False
        self._stacks = []  # weak references to every thread's stack of contexts
        self.closing = False
        self.last = []  # what is called when the interpreter ends, after the report
        self.clear()

    def clear(self):
        """Forget what was counted; what is alive stays known."""
        self.violations, self.broken, self.counts, self.leaked = [], 0, {}, {}

    def violation(self, kind, text):
        """Record a broken rule with the place in the code that called the simulator."""
        where = _caller()
        with self._lock:
            self.broken += 1
            if len(self.violations) < MOST_TEXTS:
                self.violations.append({"kind": kind, "text": text, "where": where,
                                        "thread": threading.current_thread().name})

    def count(self, what, by=1):
        self.counts[what] = self.counts.get(what, 0) + by

    def born(self, kind, thing):
        self.watch()
        with self._lock:
            self._alive.setdefault(kind, {})[id(thing)] = weakref.ref(thing)

    def gone(self, kind, thing):
        """Whether it had been alive."""
        with self._lock:
            return self._alive.get(kind, {}).pop(id(thing), None) is not None

    def alive(self, kind):
        with self._lock:
            return [thing for thing in (ref() for ref in list(self._alive.get(kind, {}).values())) if thing is not None]

    def watch(self):
        """Have the report written when the interpreter ends. Nothing is registered before the first use of the GPU."""
        with self._lock:
            if not self._watching:
                self._watching = True
                atexit.register(self._end)

    def born_stack(self, stack):
        with self._lock:
            self._stacks = [ref for ref in self._stacks if ref() is not None] + [weakref.ref(stack)]

    def not_popped(self):
        """Contexts that are on the stack of some thread."""
        with self._lock:
            return sum(len(stack) for stack in (ref() for ref in self._stacks) if stack is not None)

    def report(self):
        """Plain data: what was broken, counted and is alive; "clean" is the verdict."""
        gc.collect()
        with self._lock:
            alive = {}
            for kind in sorted(self._alive):
                things = self.alive(kind)
                if things:
                    alive[kind] = {"number": len(things), "bytes": sum(getattr(t, "size", 0) or 0 for t in things)}
            left = self.not_popped()
            return {
                "simulator": 1, "pid": os.getpid(), "argv": list(getattr(sys, "argv", [])),
                "board": list(settings.board()), "violations": list(self.violations), "broken": self.broken,
                "counts": dict(self.counts), "alive": alive, "leaked": dict(self.leaked), "not_popped": left,
                "clean": not self.broken and not alive and not left,
            }

    def write(self, path):
        """The report as JSON; a folder gets one file for each process."""
        if os.path.isdir(path):
            path = os.path.join(path, "{}.json".format(os.getpid()))
        path = path.replace("{pid}", str(os.getpid()))
        with open(path + ".part", "w") as f:
            json.dump(self.report(), f, indent=1, sort_keys=True)
        os.replace(path + ".part", path)

    def _end(self):
        self.closing = True
        path = settings.text("REPORT")
        if path:
            self.write(path)
        for last in self.last:
            last()


def _caller():
    """file:line of the nearest frame outside the simulator."""
    frame = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return "{}:{}".format(frame.f_code.co_filename, frame.f_lineno) if frame is not None else ""


ledger = Ledger()
