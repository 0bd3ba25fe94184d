"""The crop kernel is compiled by the nvcc that is found, kept with a sidecar, and refused when it does not fit."""
import io
import json
import os
import re
import stat
import sys

import nvrtc
import pytest

from edge.core.errors import EngineError
from edge.host.disk import StorageError
from edge.runtimes.gpu import crop
from edge.store import cubin as stored
from engines.build import cubin
from engines.progress import Report

HEADER = b"\x7fELF\x02\x01\x01\x33\x07" + bytes(7) + b"\x02\x00" + b"\xbe\x00"  # an ELF file for machine 190
NVCC = """#!{python}
import sys
if sys.argv[1:] == ["--version"]:
    print("nvcc: NVIDIA (R) Cuda compiler driver\\nCuda compilation tools, release 10.2, V10.2.300")
    sys.exit(0)
with open({log}, "a") as f:
    f.write(" ".join(sys.argv[1:]) + "\\n")
target = sys.argv[sys.argv.index("-o") + 1]
"""
COMPILES = NVCC + """
with open(target, "wb") as f:
    f.write({header} + sys.argv[2].encode("ascii"))
"""
FAILS = NVCC + """
sys.stderr.write("crop.cu(7): error: identifier \\"pitsch\\" is undefined\\n\\n1 error detected\\n")
sys.exit(2)
"""
SAYS_MUCH = NVCC + "print('word\\n' * 500)\nsys.exit(1)\n"
GARBAGE = NVCC + "open(target, 'wb').write(b'hello')\n"
OTHER_MACHINE = NVCC + "open(target, 'wb').write({header}[:18] + b'>' + bytes(60))\n"
NOTHING = NVCC
CURE = r"run `\S*nanoface build`"  # with its folder where that is not on the PATH


class Bench:
    """A home, a folder with a compiler in it, and what the user is told."""

    def __init__(self, folder):
        self.home, self.tools, self.log = str(folder / "home"), folder / "bin", folder / "calls"
        self.plans = os.path.join(self.home, "plans")
        self.tools.mkdir()

    def install(self, script, name="nvcc"):
        path = self.tools / name
        values = {"{python}": sys.executable, "{log}": repr(str(self.log)), "{header}": repr(HEADER)}
        for name, value in values.items():
            script = script.replace(name, value)
        path.write_text(script)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def build(self, compute_capability="5.3", **options):
        out = io.StringIO()
        built = cubin.build_cubin(self.home, compute_capability, Report(out), folders=[str(self.tools)], **options)
        return built, out.getvalue()

    def calls(self):
        return self.log.read_text().splitlines() if self.log.exists() else []

    def sidecar(self):
        with open(os.path.join(self.plans, "crop.json")) as f:
            return json.load(f)

    def files(self):
        return sorted(os.listdir(self.plans)) if os.path.isdir(self.plans) else []


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    return Bench(tmp_path)


def test_a_compiler_off_the_path_is_found_and_its_code_kept_with_what_it_was_built_of(bench):
    bench.install(COMPILES)
    built, text = bench.build()
    assert built and text == "crop kernel: built for sm_53\n"
    assert bench.calls()[0].startswith("-cubin -arch=sm_53 -o ") and bench.calls()[0].endswith("crop.cu")
    assert bench.files() == ["crop.cubin", "crop.json"]
    sidecar = bench.sidecar()
    assert sidecar["arch"] == "sm_53" and sidecar["nvcc"] == "V10.2.300" and sidecar["schema"] == 1
    assert sidecar["source_sha256"] == stored.source_sha256()
    assert stored.read_cubin(bench.home, "5.3") == HEADER + b"-arch=sm_53"


def test_the_one_on_the_path_goes_first(bench, tmp_path, monkeypatch):
    bench.install(FAILS)
    other = tmp_path / "other"
    other.mkdir()
    bench.tools, off_the_path = other, bench.tools
    bench.install(COMPILES)
    bench.tools = off_the_path
    monkeypatch.setenv("PATH", str(other))
    assert bench.build()[0]


def test_what_is_up_to_date_is_not_built_again_unless_forced_or_for_another_gpu(bench):
    bench.install(COMPILES)
    assert bench.build()[0]
    assert bench.build() == (True, "crop kernel: up to date\n") and len(bench.calls()) == 1
    assert bench.build(force=True)[0] and len(bench.calls()) == 2
    assert bench.build("8.7")[0] and len(bench.calls()) == 3 and bench.sidecar()["arch"] == "sm_87"


def test_a_changed_source_is_built_again(bench, tmp_path, monkeypatch):
    bench.install(COMPILES)
    assert bench.build()[0]
    other = tmp_path / "crop.cu"
    other.write_text("another version")
    monkeypatch.setattr(stored, "source_path", lambda: str(other))
    with pytest.raises(EngineError, match="built of another version of crop.cu: " + CURE):
        crop.load(bench.home, "5.3")
    assert bench.build()[0] and bench.calls()[1].endswith(str(other))
    assert stored.read_cubin(bench.home, "5.3")


def test_without_a_compiler_one_line_says_what_to_install(bench):
    built, text = bench.build()
    assert not built and text.count("\n") == 1 and bench.files() == []
    assert "sudo apt install cuda-nvcc-10-2" in text and str(bench.tools) in text


@pytest.mark.parametrize("script, output", [
    (FAILS, ["failed with code 2", "  crop.cu(7): error: identifier \"pitsch\" is undefined", "  1 error detected"]),
    (SAYS_MUCH, ["failed with code 1"] + ["  word"] * cubin.MOST_LINES),
    (GARBAGE, ["left 5 bytes that are no code for a GPU"]),
    (OTHER_MACHINE, ["left 79 bytes that are no code for a GPU"]),
    (NOTHING, ["left nothing that can be read (No such file or directory)"]),
], ids=["error", "many words", "garbage", "code for a CPU", "no output"])
def test_what_the_compiler_says_is_shown_and_nothing_is_kept(bench, script, output):
    bench.install(script)
    built, text = bench.build()
    lines = text.splitlines()
    assert not built and len(lines) == len(output) and lines[1:] == output[1:]
    assert output[0] in lines[0] and str(bench.tools) in lines[0] and "the CPU fills the inputs" in lines[0]
    assert bench.files() == []


def test_a_file_that_is_no_program_is_one_line(bench):
    bench.install("\x00\x01 no program")
    built, text = bench.build()
    assert not built and text.count("\n") == 1 and "cannot be started" in text and bench.files() == []


def test_a_failure_leaves_the_old_code_which_then_says_that_it_is_old(bench):
    bench.install(COMPILES)
    assert bench.build()[0]
    bench.install(FAILS)
    assert not bench.build("7.2")[0]
    with pytest.raises(EngineError, match="was built for sm_53, the GPU here is sm_72: " + CURE):
        crop.load(bench.home, "7.2")
    assert stored.read_cubin(bench.home, "5.3")


def test_a_folder_that_cannot_be_written_to_is_an_error_with_its_cure(bench, tmp_path):
    bench.install(COMPILES)
    (tmp_path / "home").write_text("a file, no folder")
    with pytest.raises(StorageError, match="set NANOFACE_HOME"):
        bench.build()


def test_where_nothing_was_built_the_cure_is_named(tmp_path):
    with pytest.raises(EngineError, match="was not built for this board: " + CURE):
        crop.load(str(tmp_path), "5.3")


def _cut(path):
    with open(path, "rb") as f:
        return f.read()[:-3]


@pytest.mark.parametrize("name, content, output", [
    ("crop.cubin", None, "cannot be read"),
    ("crop.cubin", _cut, "cut short or altered"),
    ("crop.cubin", lambda path: _cut(path) + b"end", "cut short or altered"),
    ("crop.json", _cut, "cannot be read"),
    ("crop.json", lambda path: b"[]", "is damaged"),
    ("crop.json", lambda path: b'{"schema": 1}', "is damaged"),
    ("crop.json", lambda path: b'{"schema": 2}', "is damaged"),
    ("crop.json", lambda path: b"\xff\xfe", "cannot be read"),
], ids=["removed", "cut", "altered", "sidecar cut", "a list", "no hash", "another schema", "no text"])
def test_a_damaged_store_is_refused_in_one_line_and_built_again(bench, name, content, output):
    bench.install(COMPILES)
    assert bench.build()[0]
    path = os.path.join(bench.plans, name)
    damaged = content and content(path)
    os.remove(path)
    if damaged:
        with open(path, "wb") as f:
            f.write(damaged)
    with pytest.raises(EngineError) as refused:
        crop.load(bench.home, "5.3")
    text = str(refused.value)
    assert output in text and re.search(CURE, text) and "\n" not in text
    assert bench.build()[0] and len(bench.calls()) == 2
    assert stored.read_cubin(bench.home, "5.3")


def test_a_kill_between_code_and_sidecar_is_noticed(bench, monkeypatch):
    bench.install(COMPILES)
    assert bench.build()[0]
    monkeypatch.setattr(cubin, "_store", lambda home, code, arch, nvcc: cubin.write_whole(
        os.path.join(bench.plans, "crop.cubin"), code + b"new"))
    assert bench.build(force=True)[0]
    with pytest.raises(EngineError, match="altered"):
        crop.load(bench.home, "5.3")


@pytest.mark.skipif(nvrtc.library_path() is None, reason="needs the wheel " + nvrtc.WHEEL)
def test_real_code_for_the_nano_passes_the_check_of_what_nvcc_left(bench):
    with open(stored.source_path(), encoding="ascii") as f:
        real = nvrtc.Nvrtc(nvrtc.library_path()).compile(f.read(), "sm_53").code
    source = bench.tools / "real.cubin"
    source.write_bytes(real)
    bench.install(NVCC + "import shutil\nshutil.copy({!r}, target)\n".format(str(source)))
    assert bench.build()[0] and stored.read_cubin(bench.home, "5.3") == real
