"""The live picture of the whole program: where it opens by itself, how a user ends the run in it, and a display that goes."""
import os
import subprocess
import sys
import threading

import pytest
from virtual_display import VirtualDisplay, wait_until
from whole_runs import PATIENCE_S, environment, quick, wait_for_lines, whole_program

PLAYED = ("run", "--source", "portrait", "--realtime", "--loop", "--status", "none") + quick()
NOTHING = "this run shows and writes nothing"


@pytest.fixture(scope="module")
def nanoface(models_home, tmp_path_factory):
    return whole_program(models_home, tmp_path_factory)


@pytest.fixture
def screen(tmp_path):
    pytest.importorskip("pygame", reason="needs pygame")
    display = VirtualDisplay(tmp_path)
    yield display
    display.close()


class AtTerminal:
    """A run whose standard error is a terminal."""

    def __init__(self, folder, home, words, **more):
        pty = pytest.importorskip("pty")
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edge"] + list(words), cwd=str(folder), env=environment(folder, home, **more),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs)
        os.close(theirs)
        self._output = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def end(self):
        """Exit code, and what it said on both."""
        try:
            out = self.process.communicate(timeout=PATIENCE_S)[0]
        finally:
            self.process.kill()
        self._reader.join()
        os.close(self._ours)
        return self.process.returncode, out.decode() + b"".join(self._output).decode()

    def _read(self):
        try:
            for block in iter(lambda: os.read(self._ours, 4096), b""):
                self._output.append(block)
        except OSError:
            return  # Linux tells the end of a terminal so


def test_you_see_yourself_at_once_and_end_the_run_with_the_mouse(nanoface, screen, tmp_path):
    run = AtTerminal(tmp_path, nanoface.home, PLAYED, DISPLAY=screen.name)
    number = screen.window("nanoface: portrait")
    wait_until(lambda: screen.ask_to_close(number) or run.process.poll() is not None, "the run goes on")
    code, output = run.end()
    assert code == 0 and "window was closed" in output, output
    assert NOTHING not in output and "no live picture" not in output


@pytest.mark.parametrize("asked_for", [False, True])
def test_a_display_that_goes_away_in_the_middle_ends_no_run(nanoface, screen, tmp_path, asked_for):
    words = PLAYED + ("--max-frames", "150", "--output", "jsonl:a.jsonl") + (("--output", "window") if asked_for else ())
    run = AtTerminal(tmp_path, nanoface.home, words, DISPLAY=screen.name)
    screen.window("nanoface: portrait")
    wait_for_lines(str(tmp_path / "a.jsonl"), 5, run.process)
    screen.process.kill()
    code, output = run.end()
    assert code == 0 and "frame limit reached" in output and "Traceback" not in output, output
    assert ("no live picture: its display has gone" in output) != asked_for, output
    assert ("window: " in output) and len((tmp_path / "a.jsonl").read_text().splitlines()) > 20


@pytest.mark.parametrize("words, hint", [((), True), (("--no-window",), False), (("--output", "csv:a.csv"), False)])
def test_without_a_display_one_note_says_how_to_see_something(nanoface, words, hint):
    done = nanoface.run(*(PLAYED[1:3] + ("--max-frames", "2") + quick() + words))
    assert done.err.count(NOTHING) == hint


@pytest.mark.parametrize("words, variables", [
    (("--no-window",), {}), ((), {"SSH_CONNECTION": "1", "DISPLAY": "localhost:{}.0"}),
])
def test_none_opens_where_it_is_not_wanted(nanoface, screen, tmp_path, words, variables):
    variables = dict({"DISPLAY": ":{}"}, **variables)
    variables = {name: value.format(screen.name[1:]) for name, value in variables.items()}
    run = AtTerminal(tmp_path, nanoface.home, PLAYED[:3] + ("--max-frames", "20", "--status", "none") + words, **variables)
    code, output = run.end()
    assert code == 0 and "output   window" not in output and "no live picture" not in output, output
