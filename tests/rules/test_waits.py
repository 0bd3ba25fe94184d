"""No wait with a time-out but those of edge/host/waiting.py: others follow the wall clock on the board's Python."""
import ast

import pytest
from codebase import Source, dotted, report, sources

HOME = "edge/host/waiting.py"
MODULES = ("threading", "multiprocessing")
WAITING = {"Barrier", "BoundedSemaphore", "Condition", "Event", "Semaphore", "Timer"}
TEXT = "{} waits on the wall clock before Python 3.11: take edge.host.waiting.{}"


def check_waits(source):
    faults = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and node.module in MODULES:
            faults += [source.fault(node, TEXT.format(a.name, a.name)) for a in node.names if a.name in WAITING]
        elif isinstance(node, ast.Attribute) and node.attr in WAITING and dotted(node.value) in MODULES:
            faults.append(source.fault(node, TEXT.format(dotted(node), node.attr)))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_timed(node):
            name = node.func.attr
            faults.append(source.fault(node, TEXT.format(name + "()", name if name in ("join", "acquire") else "Condition")))
    return faults


def _is_timed(call):
    """join(1.0) of a thread, acquire(True, 1.0) of a lock, get(True, 1.0) and put(item, True, 1.0) of a queue; timeout=1.0."""
    name, owner = call.func.attr, call.func.value
    if name not in ("join", "acquire", "get", "put") or dotted(owner) == "waiting":
        return False
    if any(keyword.arg == "timeout" for keyword in call.keywords):
        return True
    if name == "join":
        return bool(call.args) and not _is_text(owner)
    at = 1 if name == "put" else 0  # where it is said whether to wait at all
    return len(call.args) == at + 2 and getattr(call.args[at], "value", None) is True


def _is_text(owner):
    """What joins names or paths, and is no thread."""
    name = dotted(owner)
    return name == "os.path" or name.isupper() or not isinstance(owner, (ast.Name, ast.Attribute))


def test_every_wait_with_a_time_out_is_on_the_monotonic_clock():
    faults = [fault for source in sources("edge") if source.path != HOME for fault in check_waits(source)]
    assert not faults, "\n" + report(faults)


@pytest.mark.parametrize("text, fault", [
    ("stop = threading.Event()", "threading.Event"),
    ("from threading import Condition", "Condition"),
    ("from multiprocessing import Event", "Event"),
    ("lock = threading.Lock()", None),
    ("threading.Timer(1.0, act).start()", "threading.Timer"),
    ("self._thread.join(1.0)", "join()"),
    ("worker.join(timeout=1.0)", "join()"),
    ("thread.join()", None),
    ("waiting.join(thread, 1.0)", None),
    ("os.path.join(a, b)", None),
    ("', '.join(names)", None),
    ("GAP.join(cells)", None),
    ("'{}'.format(x).join(cells)", None),
    ("lock.acquire(timeout=1.0)", "acquire()"),
    ("lock.acquire(True, 1.0)", "acquire()"),
    ("lock.acquire(False)", None),
    ("waiting.acquire(lock, 1.0)", None),
    ("orders.get(timeout=1.0)", "get()"),
    ("orders.get(True, 1.0)", "get()"),
    ("counts.get(name, 0)", None),
    ("link.put(item)", None),
    ("orders.put(item, True, 1.0)", "put()"),
    ("process.wait(1.0)", None),
])
def test_a_wait_on_the_wall_clock_is_found(text, fault):
    faults = check_waits(Source("edge/sources/x.py", text))
    assert len(faults) == (fault is not None), report(faults)
    assert fault is None or fault in faults[0].text
