"""Thousands of wrong inputs, each in a process of its own that may take 10 s of the processor and 400 MB: `make fuzz`.

What is wrong of one: a trace, "internal error", more than one line of ours, an exit code that is not documented, a signal,
more time or memory. Its files, words and output are then kept below out/fuzz.
"""
import argparse
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE), os.path.dirname(os.path.dirname(HERE))]

MOST_CPU_S, MOST_BYTES, LONGEST_S = 10, 400 << 20, 120.0
CODES = (0, 1, 2, 3, 4, 5, 6)
ALLOWED, WRONG = 2, 70  # exit codes of a call
WHOLE_EVERY = 200  # of so many commands one is run as a user runs it
OURS = re.compile(r"^nanoface: ", re.MULTILINE)
BAD = re.compile(r"Traceback \(most recent|internal error|Error in |terminate called|Segmentation fault")


def make_seeds(folder):
    """Small good files to be spoilt."""
    import numpy as np
    from PIL import Image

    from edge.host.ffmpeg import find

    pixels = np.random.RandomState(1).randint(0, 255, (24, 32, 3)).astype(np.uint8)
    for name in ("a.png", "a.jpg", "a.webp", "a.tif", "a.bmp"):
        Image.fromarray(pixels).save(os.path.join(folder, name))
    program = find()
    for name in ("a.mp4", "a.avi", "a.mkv", "a.gif"):
        subprocess.check_call([program.path, "-v", "error", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=1",
                               os.path.join(folder, name)])
    from fakes.recordings import records, replayed
    replayed(os.path.join(folder, "a.nfr"), records()[:8])
    try:
        import onnx
    except ImportError:
        return
    helper = onnx.helper
    node = helper.make_node("Relu", ["input"], ["out"], name="relu")
    shape = [1, 3, 8, 8]
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("input", 1, shape)],
                              [helper.make_tensor_value_info("out", 1, shape)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7),
              os.path.join(folder, "a.onnx"))


def preload():
    """What a process of its own would load, once for all."""
    import cv2
    import numpy

    import edge.app.run
    import edge.cli.main
    import edge.config.load
    import engines.fetch.commands
    import engines.verify.references
    assert cv2 and numpy and edge and engines


def work(make, seed, folder, whole):
    """In the new process: makes the input, runs it, never returns."""
    code = WRONG
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_S, MOST_CPU_S + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.chdir(os.path.join(folder, "in"))
        for number, name in ((0, os.devnull), (1, "out"), (2, "err")):
            path = name if number == 0 else os.path.join(folder, name)
            fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            os.dup2(fd, number)
        case = make(random.Random(seed), os.getcwd())
        with open(os.path.join(folder, "words"), "w", errors="backslashreplace") as f:
            f.write("{!r}\n{!r}\n".format(case.words, case.environ))
        for name, value in case.environ.items():
            os.environ[name] = value
        if whole and case.words is not None:
            os.execv(sys.executable, [sys.executable, "-m", "edge"] + case.words)
        for name, number in (("stdout", 1), ("stderr", 2)):
            setattr(sys, name, open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False))
        code = run_here(case)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        sys.stderr.flush()
    os._exit(code)


def run_here(case):
    if case.words is not None:
        from edge.cli.main import main
        return main(case.words)
    try:
        case.call()
    except case.allowed as e:
        print("nanoface: {}".format(" ".join(str(e).split())), file=sys.stderr)
        return ALLOWED
    return 0


def environment(folder, seeds):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NANOFACE_", "XDG_", "NOTIFY", "WATCHDOG", "JOURNAL"))}
    root = os.path.dirname(os.path.dirname(HERE))
    inside = os.path.join(folder, "in")
    return dict(kept, NANOFACE_CONFIG=os.devnull, NANOFACE_HOME=os.path.join(inside, "home"), HOME=inside, FUZZ_SEEDS=seeds,
                XDG_STATE_HOME=os.path.join(inside, "state"), PYTHONPATH=os.pathsep.join([root] + sys.path), COLUMNS="100",
                OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")


def fault(status, usage, wall_s, folder):
    """What is wrong of an ended process; "" where nothing is."""
    with open(os.path.join(folder, "err"), encoding="utf-8", errors="replace") as f:
        said = f.read(1 << 20)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number in (signal.SIGXCPU, signal.SIGKILL):
            return "took more than {} s".format(MOST_CPU_S if number == signal.SIGXCPU else LONGEST_S)
        return "ended by signal {}".format(number)
    code = os.WEXITSTATUS(status)
    bad = BAD.search(said)
    if bad is not None:
        return "said {!r}: {}".format(bad.group(), " ".join(said.split())[-200:])
    if code not in CODES:
        return "exit code {}".format(code)
    if len(OURS.findall(said)) > 1:
        return "more than one line of ours"
    if usage.ru_maxrss * 1024 > MOST_BYTES:
        return "took {} MB".format(usage.ru_maxrss >> 10)
    return ""


class Running:
    """One process and its folder."""

    def __init__(self, make, seed, folder, seeds, whole):
        self.name, self.seed, self.folder, self.began = make.__name__, seed, folder, time.monotonic()
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(os.path.join(folder, "in"))
        open(os.path.join(folder, "err"), "w").close()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.environ.clear()
            os.environ.update(environment(folder, seeds))
            work(make, seed, folder, whole)

    def ended(self):
        """Its fault, "" without one, None while it runs."""
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        wall_s = time.monotonic() - self.began
        if pid == 0:
            if wall_s > LONGEST_S:
                os.kill(self.pid, signal.SIGKILL)
            return None
        try:
            os.killpg(self.pid, signal.SIGKILL)  # what it may have started
        except OSError:
            pass
        return fault(status, usage, wall_s, self.folder)


def fuzz(count, seed, kinds, keep, jobs):
    """Number of each kind, and the faults."""
    place = tempfile.mkdtemp(prefix="nanoface-fuzz-")
    done, faults, running, free = Counter(), [], [], list(range(jobs))
    try:
        seeds = os.path.join(place, "seeds")
        os.mkdir(seeds)
        make_seeds(seeds)
        preload()
        order = random.Random(seed)
        names = [kind for kind, often in kinds.items() for _ in range(often)]
        number = 0
        while number < count or running:
            while number < count and free:
                make = order.choice(names)
                slot = free.pop()
                case_seed = "{}:{}".format(seed, number)
                running.append((slot, Running(make, case_seed, os.path.join(place, str(slot)), seeds,
                                              number % WHOLE_EVERY == 7)))
                number += 1
            for slot, one in list(running):
                found = one.ended()
                if found is None:
                    continue
                running.remove((slot, one))
                free.append(slot)
                done[one.name] += 1
                if found:
                    faults.append("{} {}: {}".format(one.name, one.seed, found))
                    print("FAULT", faults[-1], flush=True)
                    kept = os.path.join(keep, "{}-{}".format(one.name, one.seed.replace(":", "-")))
                    shutil.rmtree(kept, ignore_errors=True)
                    shutil.copytree(one.folder, kept, symlinks=True)
            time.sleep(0.001)
    finally:
        for _, one in running:
            os.kill(one.pid, signal.SIGKILL)
        shutil.rmtree(place, ignore_errors=True)
    return done, faults


def main(argv=None):
    from fuzz_inputs import KINDS

    words = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    words.add_argument("--count", type=int, default=20000)
    words.add_argument("--seed", default="1", help="another one makes other inputs")
    words.add_argument("--kinds", nargs="+", choices=[kind.__name__ for kind in KINDS], help="these alone")
    words.add_argument("--keep", default=os.path.join("out", "fuzz"), help="a folder for what goes wrong")
    words.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = words.parse_args(argv)
    kinds = {kind: often for kind, often in KINDS.items() if not args.kinds or kind.__name__ in args.kinds}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what is under way is cleared away
    began = time.monotonic()
    done, faults = fuzz(args.count, args.seed, kinds, os.path.abspath(args.keep), args.jobs)
    for name, number in sorted(done.items()):
        print("{:15} {:6}".format(name, number))
    print("{} inputs of seed {} in {:.0f} s, {} with a fault".format(
        sum(done.values()), args.seed, time.monotonic() - began, len(faults)))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
