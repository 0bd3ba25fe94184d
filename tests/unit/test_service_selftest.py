"""The self-test of the installed program: what TensorRT takes is tried where it is; on a Jetson it must be."""
import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CODE = """
import platform, sys
sys.path[:0] = [{stubs!r}, {root!r}]
platform.machine, platform.release = lambda: {machine!r}, lambda: {kernel!r}
from edge.service.selftest import main
sys.exit(main([]))
"""
GOOD = {"tensorrt": "", "pycuda": "", "pycuda.driver": ""}
TLS = "raise ImportError('/usr/lib/libgomp.so.1: cannot allocate memory in static TLS block')"
PC, NANO = ("x86_64", "5.15.0"), ("aarch64", "4.9.253-tegra")


def selftest(folder, stubs, machine):
    """Exit code and output."""
    for name, text in stubs.items():
        path = folder / "stubs" / name.replace(".", "/")
        path.mkdir(parents=True, exist_ok=True)
        (path / "__init__.py").write_text(text)
    code = CODE.format(stubs=str(folder / "stubs"), root=ROOT, machine=machine[0], kernel=machine[1])
    done = subprocess.run([sys.executable, "-I", "-c", code], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True)
    return done.returncode, done.stdout


@pytest.mark.parametrize("stubs, machine", [(GOOD, NANO), (GOOD, PC), ({}, PC), ({"pycuda": "", "pycuda.driver": ""}, PC)])
def test_what_is_there_and_loads_is_well(tmp_path, stubs, machine):
    assert selftest(tmp_path, stubs, machine) == (0, "")


@pytest.mark.parametrize("broken, machine, parts", [
    ({"tensorrt": TLS}, NANO, ["tensorrt does not load", "LD_PRELOAD=/usr/lib/libgomp.so.1", "/etc/nanoface/environment"]),
    ({"tensorrt": "raise ImportError('libnvinfer.so.8: cannot open shared object file')"}, PC, ["sudo apt install"]),
    ({"tensorrt": "import numpy; numpy.no_such_name"}, NANO, ["tensorrt does not load", "no_such_name", "sudo apt install"]),
    ({"pycuda.driver": "raise ImportError('libcuda.so.1: cannot open')"}, PC, ["pycuda.driver does not load", "driver"]),
    ({"pycuda.driver": "raise ValueError('numpy.dtype size changed')"}, NANO, ["numpy.dtype size changed"]),
    ({"pycuda": "import no_such_package"}, PC, ["no_such_package, which pycuda needs,", "sh setup.sh"]),
])
def test_what_is_there_and_does_not_load_is_one_line_with_the_cure(tmp_path, broken, machine, parts):
    code, said = selftest(tmp_path, dict(GOOD, **broken), machine)
    assert code == 4 and said.count("\n") == 1 and all(part in said for part in parts), said


@pytest.mark.parametrize("stubs, part", [({}, "tensorrt is not installed: sudo apt install"),
                                         ({"tensorrt": ""}, "pycuda is not installed: run `sh setup.sh`")])
def test_on_a_jetson_it_must_be_there(tmp_path, stubs, part):
    code, said = selftest(tmp_path, stubs, NANO)
    assert code == 4 and said.count("\n") == 1 and part in said
