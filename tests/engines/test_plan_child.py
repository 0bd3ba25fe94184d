"""The command and its building process: what each way of ending means, and that none of them outlives the other."""
import json
import os
import subprocess
import sys
import textwrap
import time

import pytest
from patience import PATIENCE_S, wait_until

from edge.core.errors import EngineError, ModelError
from edge.host.disk import StorageError
from edge.host.stop import Stop, stopped_by_signals
from engines.build import parent
from engines.build.parent import BuildCallbacks, Crashed, Interrupted, run_child

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Listener:
    def __init__(self):
        self.notes, self.steps, self.logged = [], [], []
        self.callbacks = BuildCallbacks(self.notes.append, lambda step, s: self.steps.append(step),
                                        lambda severity, text: self.logged.append((severity, text)))


@pytest.fixture
def child(tmp_path, monkeypatch):
    """Run a process that does what the code says in the place of a build; `send(event, **values)` is there for it."""
    def run(code, stop=None, limit_s=600.0, **request):
        script = tmp_path / "stand_in.py"
        script.write_text(textwrap.dedent("""
            import json, os, signal, sys, time
            request = json.load(open(sys.argv[1]))
            def send(event, **values):
                os.write(1, (json.dumps(dict(values, event=event)) + "\\n").encode())
            """) + textwrap.dedent(code))
        monkeypatch.setattr(parent, "CHILD", (str(script),))
        listener = run.listener = Listener()
        return run_child(request, str(tmp_path), stop or Stop(), listener.callbacks, limit_s)
    return run


def test_the_events_of_the_process_are_received_in_order(child):
    done = child("""
        send("step", text="building"); send("note", text="a pin is lost")
        send("log", severity="W", text="slow"); time.sleep(0.3)
        sys.stderr.write("a library prints\\n"); os.write(1, b"so does another\\n42\\n")
        send("done", sidecar={"sha256": request["wanted"]})
        """, wanted="abc")
    assert done["sidecar"] == {"sha256": "abc"}
    assert child.listener.notes == ["a pin is lost"] and child.listener.logged == [("W", "slow")]
    assert child.listener.steps[-1] == "building"


@pytest.mark.parametrize("code, kind, words", [
    ("send('failed', text='no operator X: take another', storage=False)", ModelError, "no operator X: take another"),
    ("send('failed', text='the disk is full', storage=True)", StorageError, "the disk is full"),
    ("send('step', text='building'); os.kill(os.getpid(), signal.SIGKILL)", Crashed,
     "it was killed while building; .*memory: add 4 GB of swap .*or try --workspace 128"),
    ("send('log', severity='E', text='CUDA error 719'); os.kill(os.getpid(), signal.SIGSEGV)", Crashed,
     "it crashed with SIGSEGV while starting: .* Its last message: CUDA error 719"),
    ("os.abort()", Crashed, "it crashed with SIGABRT while starting"),
    ("raise LookupError('unforeseen')", Crashed, "ended with code 1 while starting: .*LookupError: unforeseen"),
    ("pass", Crashed, "it ended with code 0 while starting"),
])
def test_every_way_to_fail_is_one_line_with_a_cure(child, code, kind, words):
    with pytest.raises(ModelError, match=words) as e:
        child(code)
    assert type(e.value) is kind and "\n" not in str(e.value) and e.value.exit_code == 4


def test_a_process_that_crashes_after_it_is_done_is_forgiven(child):
    assert child("send('done', sidecar={}); os.abort()")["sidecar"] == {}


def test_a_long_log_does_not_block_the_process(child):
    assert child("sys.stderr.write('x' * 70 + '\\n') if 0 else [sys.stderr.write('x' * 99 + '\\n') for _ in range(9000)];"
                 "send('done')")["event"] == "done"


def test_a_signal_ends_the_process_and_the_command(child, tmp_path):
    stop = Stop()
    began_at = time.monotonic()
    with stopped_by_signals(stop), pytest.raises(Interrupted):
        child("open('pid', 'w').write(str(os.getpid())); os.kill(os.getppid(), signal.SIGTERM); time.sleep(600)", stop)
    assert time.monotonic() - began_at < PATIENCE_S
    with pytest.raises(OSError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize("code, step", [
    ("send('step', text='building'); begin(); time.sleep(600)", "building"),
    ("begin(); os.close(1); os.close(2); time.sleep(600)", "starting"),
    ("signal.signal(signal.SIGTERM, signal.SIG_IGN); begin(); os._exit(0)", "starting"),  # what it left has its streams
])
@pytest.mark.parametrize("limit_s, words", [(1800.0, "30 min while {}, .*--only mb05 --timeout 90"), (20.0, "20 s while {}")])
def test_what_does_not_end_is_ended_with_all_that_it_started(child, tmp_path, monkeypatch, code, step, limit_s, words):
    class Clock:
        def monotonic(self):  # the limit is over when all of them run, and what they told was read
            reported = step == "starting" or step in child.listener.steps
            return 2000.0 if reported and (tmp_path / "begun").exists() else 0.0

    monkeypatch.setattr(parent, "clock", Clock())
    begin = """
        import subprocess
        def begin():
            other = subprocess.Popen(["sleep", "600"])
            open("part", "w").write("{} {}".format(os.getpid(), other.pid))
            os.rename("part", "begun")
        """
    with pytest.raises(Crashed, match="it did not end within " + words.format(step)) as e:
        child(textwrap.dedent(begin) + code, limit_s=limit_s, network="mb05")
    assert "\n" not in str(e.value) and not e.value.by_fault and e.value.exit_code == 4
    pids = [int(pid) for pid in (tmp_path / "begun").read_text().split()]
    wait_until(lambda: not any(_lives(pid) for pid in pids))
    assert not any(_lives(pid) for pid in pids)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the kernel of Linux to end the process")
def test_the_process_ends_with_a_command_that_is_killed(tmp_path):
    (tmp_path / "tensorrt").mkdir()
    (tmp_path / "tensorrt" / "__init__.py").write_text(
        "import os, time\nopen({!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n".format(str(tmp_path / "pid")))
    (tmp_path / "pycuda").mkdir()
    (tmp_path / "pycuda" / "__init__.py").write_text("")
    (tmp_path / "pycuda" / "driver.py").write_text("")
    code = ("from edge.host.stop import Stop; from engines.build.context import ask_facts; ask_facts({!r}, '/', Stop())"
            .format(str(tmp_path)))
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(tmp_path), ROOT]))
    command = subprocess.Popen([sys.executable, "-c", code], env=env)
    pid = int(_when_there(tmp_path / "pid"))
    command.kill()
    command.wait()
    wait_until(lambda: not _lives(pid))
    assert not _lives(pid)


def _when_there(path):
    return wait_until(lambda: path.exists() and path.read_text())


def _lives(pid):
    try:
        with open("/proc/{}/stat".format(pid)) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_without_tensorrt_the_command_says_that_it_is_for_the_board(tmp_path, monkeypatch):
    (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvinfer.so.8: cannot open shared object file')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    from engines.build.context import ask_facts

    with pytest.raises(ModelError, match="nanoface build makes plans on the board; here there is no TensorRT: .*apt"):
        ask_facts(str(tmp_path), "/", Stop())


def test_a_python_that_cannot_be_started_is_an_engine_error(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(EngineError, match="cannot be started"):
        run_child({}, str(tmp_path), Stop(), Listener().callbacks, 600.0)
    assert json.loads((tmp_path / "request.json").read_text()) == {"parent": os.getpid()}
