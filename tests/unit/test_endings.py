"""How a process of ours ends by a signal: with its code, by no abort and with no trace, wherever it is and however slow the
machine."""
import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest
from whole_runs import DEFAULT_NETWORKS, RUNTIMES, need_networks, need_runtime

from edge.store.models import home_dir

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SEED = 20261130
LATEST_S = 2.5  # of a signal, after the process has taken signals
pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux: when signals are taken")

# commands that are in the middle of something for ever, with a thread inside a call that no Python sees
STUCK = """
import ctypes, sys, threading, types
from edge.host import stop
stop.SIGNALS.note()
from edge.cli import main as cli
libc = ctypes.CDLL(None)
threading.Thread(target=lambda: [libc.usleep(1000) for _ in range(10 ** 9)], daemon=True).start()
BODY
stop.leave(cli.main(sys.argv[1:]))
"""
RUN = """
app = types.ModuleType("edge.app.run")
def run(config, stop, report):
    while not stop.wait(10.0): pass
    return {"state": "STOPPED", "stages": {}}
app.run = run
sys.modules["edge.app.run"] = app
"""
SWALLOWS = """
from engines.fetch import commands
def models(home, out):
    import time
    sys.stderr.write("ready\\n")
    try:
        time.sleep(100)
    except KeyboardInterrupt:
        sys.stderr.write("Traceback (most recent call last): of a module that was being loaded\\n")
    raise ImportError("numpy.core.multiarray failed to import")
commands.run_list = models
"""


def start(folder, words, program=("-m", "edge"), ignored=(), alone=False, **more):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("NANOFACE_", "XDG_"))}
    env.update(PYTHONPATH=ROOT, NANOFACE_HOME=str(folder / "home"), NANOFACE_CONFIG=os.devnull, XDG_STATE_HOME=str(folder))
    env.update(more)

    def ignore():
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)

    return subprocess.Popen([sys.executable] + list(program) + list(words), cwd=str(folder), env=env, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, preexec_fn=ignore,
                            start_new_session=alone)


def wait_until_taken(process, number=signal.SIGTERM):
    """Python itself takes SIGINT, and no other."""
    while process.poll() is None:
        with open("/proc/{}/status".format(process.pid)) as f:
            caught = next(int(line.split()[1], 16) for line in f if line.startswith("SigCgt"))
        if caught >> (number - 1) & 1:
            return
        time.sleep(0.002)


@pytest.fixture
def busy():
    """More work than the machine has processors."""
    hogs = [subprocess.Popen(["nice", sys.executable, "-c", "while True: pass"]) for _ in range((os.cpu_count() or 1) + 1)]
    yield
    for hog in hogs:
        hog.kill()
        hog.wait()


def end(process):
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert "terminate called" not in err and "Traceback" not in err and "Exception ignored" not in err, err
    return process.returncode, out, err


@pytest.mark.parametrize("words, codes", [
    (["status", "--follow", "absent.jsonl"], [0]), (["models", "fetch"], [130, 4]),
    (["bench", "--source", "portrait"], [130, 4]),
    (["doctor"], [130, 1]), (["models", "check"], [130, 4]), (["calibrate", "fp16"], [130, 4]), (["estimate"], [130, 0]),
    (["models", "lint"], [130, 4]), (["build", "--list"], [130, 0]),
], ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else str(value))
def test_signal_at_any_moment(tmp_path, busy, words, codes):
    """The second code is that of the command itself, which may be over before the signal comes: there are no networks."""
    moments = random.Random("{} {}".format(SEED, words))
    process = start(tmp_path, words, NANOFACE_MIRROR=str(tmp_path), HTTPS_PROXY="http://127.0.0.1:9")
    wait_until_taken(process)
    time.sleep(moments.uniform(0.0, LATEST_S))
    process.send_signal(moments.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
    code, _, err = end(process)
    assert code in codes and (code != 130 or err.endswith("nanoface: interrupted\n")), err


def test_run_is_ended_at_any_moment(tmp_path, busy):
    need_runtime(*RUNTIMES)
    need_networks(home_dir(), *DEFAULT_NETWORKS)
    moments = random.Random(SEED)
    for part in range(4):  # of the time in which a run begins and is at work
        process = start(tmp_path, ["run", "--source", "portrait", "--loop", "--status", "none"], NANOFACE_HOME=home_dir())
        wait_until_taken(process)
        time.sleep(moments.uniform(part, part + 1.0) * LATEST_S / 2.0)
        process.send_signal(signal.SIGINT)
        assert end(process)[0] == 0


def test_first_moments_of_a_command(tmp_path):
    for words, expected in ((["status", "--follow", "absent.jsonl"], 0), (["bench", "--source", "portrait"], 130)):
        process = start(tmp_path, words)
        wait_until_taken(process)
        process.send_signal(signal.SIGINT)
        assert end(process)[0] == expected


def test_thread_that_is_left_in_a_call_aborts_nothing(tmp_path):
    for _ in range(5):
        process = start(tmp_path, ["run"], ["-c", STUCK.replace("BODY", RUN)])
        wait_until_taken(process)
        process.send_signal(signal.SIGINT)
        code, out, _ = end(process)
        assert code == 0 and "STOPPED" in out


def test_what_fails_after_the_interruption_was_interrupted(tmp_path):
    process = start(tmp_path, ["models", "list"], ["-c", STUCK.replace("BODY", SWALLOWS)])
    assert process.stderr.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert end(process) == (130, "", "nanoface: interrupted\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_signal_that_is_to_be_ignored_is(tmp_path, number):
    """As nohup and the background of a script have it."""
    process = start(tmp_path, ["run"], ["-c", STUCK.replace("BODY", RUN)], ignored=[number])
    wait_until_taken(process)
    process.send_signal(number)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert end(process)[0] == 0


def test_terminal_sends_it_to_the_children_too(tmp_path):
    """The whole group, as Ctrl-C does."""
    process = start(tmp_path, ["doctor"], alone=True)
    wait_until_taken(process)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    assert end(process)[0] in (130, 0, 1)


@pytest.mark.skipif(sys.version_info < (3, 8), reason="needs Python 3.8: older ones do not end so")
def test_interrupt_that_passed_through_an_extension_ends_with_the_code_too(tmp_path):
    """Python 3.8 and later would end by the signal, also where it was caught since."""
    body = """
from engines.fetch import commands
def models(home, out):
    run = ctypes.pythonapi.PyRun_StringFlags
    run.restype, run.argtypes = ctypes.py_object, [ctypes.c_char_p, ctypes.c_int] + 2 * [ctypes.py_object] + [ctypes.c_void_p]
    run(b"import sys, time; sys.stderr.write('ready' + chr(10)); time.sleep(100)", 257,
        {"__builtins__": __builtins__}, {}, None)
commands.run_list = models
"""
    (tmp_path / "program.py").write_text(re.sub("threading.Thread.*", "", STUCK).replace("BODY", body))
    process = start(tmp_path, ["models", "list"], ["-m", "program"])
    assert process.stderr.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert end(process) == (130, "", "nanoface: interrupted\n")
