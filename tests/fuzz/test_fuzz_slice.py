"""A small slice of `make fuzz`: some hundred inputs, each with the promise of all; and faults of each kind are found."""
import os
import subprocess
import sys

import pytest

pytest.importorskip("cv2")
fuzz_run = pytest.importorskip("fuzz_run")

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = ("configuration intrinsics index sidecars status picture_list command_line environment address replies rewritten "
         "wheel references board secrets record boxes ground_truth own_network discover_request").split()
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts memory and time as Linux does")


def test_no_wrong_input_breaks_us(tmp_path):
    done = subprocess.run(
        [sys.executable, os.path.join(HERE, "fuzz_run.py"), "--count", "200", "--seed", "slice",
         "--keep", str(tmp_path / "kept"), "--jobs", "2", "--kinds"] + KINDS,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        universal_newlines=True, cwd=str(tmp_path))
    assert done.returncode == 0, done.stdout
    assert "200 inputs of seed slice" in done.stdout and not (tmp_path / "kept").exists()


def raising(random, folder):
    from fuzz_inputs import call
    return call(lambda: [][1])


def filling(random, folder):
    from fuzz_inputs import call
    return call(lambda: len(bytearray(600 << 20)))


def killed(random, folder):
    from fuzz_inputs import call
    return call(lambda: os.kill(os.getpid(), 15))  # of which no trace is printed


def talking(random, folder):
    from fuzz_inputs import call
    return call(lambda: sys.stderr.write("nanoface: a\nnanoface: b\n"))


def busy(random, folder):
    from fuzz_inputs import call

    def spin():
        while True:
            continue
    return call(spin)


@pytest.mark.parametrize("kind, told", [
    (raising, "Traceback"), (filling, "MB"), (killed, "signal 15"), (talking, "more than one line"),
    (busy, "took more than 1 s")])
def test_what_would_be_wrong_is_found_and_kept(tmp_path, monkeypatch, kind, told):
    monkeypatch.setattr(fuzz_run, "MOST_CPU_S", 1)
    monkeypatch.setattr(fuzz_run, "make_seeds", lambda folder: None)
    done, faults = fuzz_run.fuzz(1, "x", {kind: 1}, str(tmp_path / "kept"), 1)
    assert done == {kind.__name__: 1} and len(faults) == 1 and told in faults[0]
    assert sorted(os.listdir(str(tmp_path / "kept" / (kind.__name__ + "-x-0")))) == ["err", "in", "out", "words"]
