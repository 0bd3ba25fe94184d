"""Processes of the whole program that are killed with -9 at random moments: what they leave behind is always readable."""
import json
import os
import random
import signal
import subprocess
import sys
import time

from patience import PATIENCE_S, stretch, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PROGRAM = os.path.join(HERE, "quick_program.py")
RECORDS, STATUS = "records.jsonl", "status.jsonl"


def environment(folder, **more):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("NANOFACE_", "XDG_", "NOTIFY_"))}
    path = [ROOT, os.path.join(ROOT, "tests")] + [p for p in [os.environ.get("PYTHONPATH")] if p]
    env.update(PYTHONPATH=os.pathsep.join(path), NANOFACE_CONFIG=os.devnull, NANOFACE_HOME=folder, XDG_STATE_HOME=folder)
    env.update(more)
    return env


def start(folder, words=(), output="jsonl:" + RECORDS, **more):
    """The process, which tracks the demo over and over in `folder` until somebody ends it."""
    return subprocess.Popen(
        [sys.executable, PROGRAM, "run", "--source", "portrait", "--output", output, "--status", STATUS,
         "--status-interval", "0.2", "--quiet"] + (list(words) or ["--loop"]),
        cwd=folder, env=environment(folder, **more), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, universal_newlines=True)


def read(path):
    """Lines that are JSON, in order, and how many are not; the last one may be short."""
    try:
        with open(path, "rb") as f:
            lines = f.read().split(b"\n")
    except FileNotFoundError:
        return [], 0
    whole, good, bad = lines[:-1], [], 0
    for line in whole:
        try:
            good.append(json.loads(line.decode("utf-8")))
        except ValueError:
            bad += 1
    return good, bad


def status(folder):
    """The newest status record, as `nanoface status` finds it."""
    from edge.telemetry.status.read import read_last

    return read_last(os.path.join(folder, STATUS))


def slowness_s():
    """What is allowed beside a promise: twice what an interpreter that does nothing takes to start and to end now."""
    began = time.monotonic()
    subprocess.check_call([sys.executable, "-c", "import yaml"])
    return 2.0 * (time.monotonic() - began) * stretch()


def terminated(process):
    """Seconds until a SIGTERM has ended it."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)
    return time.monotonic() - began


class Killed:
    """What became of many kills. `faults` are sentences."""

    def __init__(self):
        self.kills = self.while_tracking = self.records = 0
        self.faults = []

    def line(self):
        return "{} processes killed with -9, {} of them while they tracked; {} records left behind, all readable".format(
            self.kills, self.while_tracking, self.records)


def kill_often(folder, times, seed):
    """Start, kill at a random moment, read what is left, start again; in the end a whole run that ends well."""
    os.makedirs(folder, exist_ok=True)
    rng, killed = random.Random(seed), Killed()
    short_before = 0  # lines of the status log that an earlier kill left short
    settles_s = None  # how long a start takes here, until the first records are written
    for _ in range(times):
        process = start(folder)
        if settles_s is None:
            settles_s = _until_it_writes(os.path.join(folder, RECORDS))
        else:
            time.sleep(rng.uniform(0.0, 2.0 * settles_s))
        if process.poll() is not None:
            killed.faults.append("a start after a kill ended with {}: {}".format(process.returncode, process.stderr.read()))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed.kills += 1
        short_before = _look(folder, killed, short_before)
    _last_run(folder, killed)
    return killed


def _until_it_writes(path):
    began = time.monotonic()
    wait_until(lambda: read(path)[0], "the first record")
    return time.monotonic() - began


def _look(folder, killed, short_before):
    records, bad = read(os.path.join(folder, RECORDS))
    if bad:
        killed.faults.append("{} records are not readable".format(bad))
    numbers = [record["frame"] for record in records]
    if numbers != list(range(len(numbers))):
        killed.faults.append("records are out of order, or some are missing")
    killed.records += len(records)
    killed.while_tracking += bool(records)
    states, bad = read(os.path.join(folder, STATUS))
    if bad > killed.kills:
        killed.faults.append("{} lines of the status log are not readable after {} kills".format(bad, killed.kills))
    if bad > short_before + 1:
        killed.faults.append("one kill left {} lines of the status log short".format(bad - short_before))
    if states and status(folder) != states[-1]:
        killed.faults.append("`nanoface status` would not show the newest record")
    return bad


def _last_run(folder, killed):
    process = start(folder, ["--max-frames", "30"])
    _, reported = process.communicate(timeout=PATIENCE_S)
    records, bad = read(os.path.join(folder, RECORDS))
    if process.returncode or bad or len(records) != 30 or status(folder)["state"] != "STOPPED":
        killed.faults.append("the last run: exit code {}, {} records, {}: {}".format(
            process.returncode, len(records), status(folder)["state"], reported))
