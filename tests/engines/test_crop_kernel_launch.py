"""CropKernel on the simulator of pycuda: loaded from the store, launched into a batch, refused in one line."""
import json
import os
import struct
import subprocess
import sys
import textwrap

import pytest
from fakes import KERNELS, SIMULATOR

from edge.core.errors import EngineError
from edge.runtimes.gpu import crop
from engines.build import cubin

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
ON_GPU, GRAPH_ON_GPU = [os.path.join(ROOT, "tests", "device", name) for name in ("run_on_gpu.py", "graph_on_gpu.py")]

BEGIN = """
import sys
import numpy as np
import pycuda.driver as cuda
import crop_cases
from crop_reference import filled
from edge.core.contracts import REPLICATE, RGB
from edge.core.errors import EdgeError
from edge.runtimes.gpu import crop

def refused(call, *arguments):
    try:
        call(*arguments)
    except EdgeError as e:
        print("{}: {}".format(type(e).__name__, e))
    else:
        print("not refused")

home = sys.argv[1]
cuda.init()
context = cuda.Device(0).retain_primary_context()
context.push()
image = crop_cases.noise(100, 80)
frame, stream = cuda.to_device(image.ravel()), cuda.Stream()
crops = [crop_cases.crop_of(crop_cases.turned(50, 40, 30, 0.3, 64, mirror), (64, 64), RGB, crop_cases.UNIT, REPLICATE)
         for mirror in (False, True)]
"""
END = """
frame.free()
del kernel, stream, frame  # pycuda's things keep their context
cuda.Context.pop()
del context
"""


def cubin_for(arch):
    """As much of an ELF file as a driver would look at first."""
    header = b"\x7fELF\x02\x01\x01\x33\x07" + bytes(7) + struct.pack("<HHIQQQI", 2, 190, 1, 0, 0, 0, arch)
    return header + bytes(64) + b"crop"


@pytest.fixture
def home(tmp_path):
    cubin._store(str(tmp_path), cubin_for(53), "sm_53", "V10.2.300")
    return tmp_path


def run(home, *words, **settings):
    """What a Python with the simulator in front says: exit code, text, and the simulator's own books."""
    report = str(home / "report.json")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("NANOFACE_SIM_")}
    environ.update(PYTHONPATH=os.pathsep.join([SIMULATOR, HERE, ROOT]), NANOFACE_SIM_REPORT=report)
    environ.setdefault("NANOFACE_SIM_KERNELS", KERNELS)
    environ.update(settings)
    done = subprocess.run([sys.executable] + list(words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environ)
    with open(report) as f:
        return done.returncode, done.stdout.decode("utf-8", "replace"), json.load(f)


def run_text(home, text, **settings):
    return run(home, "-c", BEGIN + textwrap.dedent(text) + END, str(home), **settings)


def test_two_launches_fill_the_two_halves_of_a_batch(home):
    code, text, books = run_text(home, """
    kernel = crop.load(home, "5.3")
    target = cuda.mem_alloc(2 * 12 * 64 * 64)
    for number, crop in enumerate(crops):
        kernel.launch(int(frame), image.shape, 300, crop, int(target) + number * 12 * 64 * 64, stream)
    stream.synchronize()
    batch = np.empty((2, 3, 64, 64), np.float32)
    cuda.memcpy_dtoh(batch, target)
    target.free()
    del target
    for crop, found in zip(crops, batch):
        print(np.array_equal(found, filled(crop_cases.arguments(image, crop), image.ravel())))
    """)
    assert (code, text.split()) == (0, ["True", "True"]), text
    assert books["clean"] and books["counts"]["kernels"] == 2, books


def test_what_cannot_be_launched_is_one_line_and_stops_nothing(home):
    code, text, books = run_text(home, """
    kernel = crop.load(home, "5.3")
    for shape, pitch in (((0, 100, 3), 300), ((80, 0, 3), 300), ((80, 101, 3), 300), ((2 ** 21, 1, 3), 3)):
        refused(kernel.launch, int(frame), shape, pitch, crops[0], int(frame), stream)
    cuda.Context.pop()
    refused(kernel.launch, int(frame), image.shape, 300, crops[0], int(frame), stream)
    context.push()
    """)
    assert code == 0, text
    lines = text.splitlines()
    assert [line.split(":")[0] for line in lines] == ["FrameError"] * 4 + ["EngineError"], text
    assert lines[0] == "FrameError: a picture of 100x0 with rows 300 bytes apart cannot be cropped"
    assert "the crop kernel cannot be launched (" in lines[4] and "run `nanoface doctor`" in lines[4]


@pytest.mark.parametrize("code", [cubin_for(72), b"\x7fELF", b"no code at all", b""],
                         ids=["another GPU", "cut", "text", "empty"])
def test_code_that_the_driver_refuses_is_one_line_with_the_cure(home, code):
    cubin._store(str(home), code, "sm_53", "V10.2.300")
    result, text, books = run_text(home, """
    refused(crop.load, home, "5.3")
    kernel = None
    """)
    assert result == 0 and text.count("\n") == 1, text
    assert text.startswith("EngineError: the crop kernel does not load (") and "run `nanoface build --force`" in text


def test_without_pycuda_the_cure_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycuda", None)
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    with pytest.raises(EngineError, match="pycuda does not load .*sh setup.sh"):
        crop.CropKernel(cubin_for(53))


def test_the_script_for_a_real_gpu_passes_on_the_simulator(home):
    path = home / "crop.cubin"
    path.write_bytes(cubin_for(53))
    code, text, books = run(home, ON_GPU, "--small", "--launches", "2", "--cubin", str(path))
    assert code == 0 and text.endswith("all agree\n") and "DIFFERS" not in text, text
    assert books["broken"] == 0 and books["not_popped"] == 0, books
    assert text.count(" ok  ") == 25 and text.count(" same ") == 25, text


def test_the_script_that_captures_a_graph_on_a_real_gpu_passes_on_the_simulator(home):
    path = home / "crop.cubin"
    path.write_bytes(b"SIMULATOR CUBIN sm_53 crop crop_from")
    code, text, books = run(home, GRAPH_ON_GPU, "--cubin", str(path), "--kernels", "2", "--rounds", "2", "--simulated")
    assert code == 0 and text.endswith("all is as promised\n") and "NOT SO" not in text, text
    assert books["clean"] and books["counts"]["graph launches"] == 6 + 2, books


WRONG = {  # what a mistaken kernel would do -> the reference's line that is changed for it
    "half a pixel off": ("F(v) for v in inverse[6:8]", "F(v + 0.5) for v in inverse[6:8]"),
    "colours swapped": ("(2, 1, 0) if red_first", "(0, 1, 2) if red_first"),
    "borders swapped": ("inside = replicate |", "inside = (not replicate) |"),
    "offset left out": ("np.array(offset, F)", "np.zeros(3, F)"),
    "writes too far": ("    target[threads] =", "    arguments[4][12 * across * down:][:4] = 7\n    target[threads] ="),
}


@pytest.mark.parametrize("mistake", sorted(WRONG))
def test_the_script_for_a_real_gpu_finds_a_mistaken_kernel(home, mistake):
    path, references = home / "crop.cubin", home / "references.py"
    path.write_bytes(cubin_for(53))
    with open(KERNELS, encoding="utf-8") as f:
        right = f.read()
    assert WRONG[mistake][0] in right
    references.write_text(right.replace(*WRONG[mistake]))
    words = [ON_GPU, "--small", "--launches", "0", "--cubin", str(path)]
    code, text, _ = run(home, *words, NANOFACE_SIM_KERNELS=str(references))
    assert code == 1 and text.endswith("SOMETHING DIFFERS\n") and " DIFFERS" in text, text
