"""A machine that lacks packages: what is missing is named at once, before anything is fetched."""
import os
import re
import shlex
import sys

import pytest
import setuptools
from in_process import InProcess
from whole_runs import finish, launch

from edge.host import packages

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ALL = packages.CONVERTERS + packages.RUNTIMES
WITHOUT = "import sys; sys.modules.update(dict.fromkeys({!r})); import edge.cli.main; sys.exit(edge.cli.main.main())"


@pytest.fixture
def without(tmp_path, capfd, monkeypatch):
    """without(packages, word ...) -> exit code and the lines of both streams of a nanoface whose home is empty and that finds
    none of these packages."""
    def call(hidden, *words, fresh=False):
        more = {"HOME": str(tmp_path), "NANOFACE_MIRROR": str(tmp_path)}
        if fresh:  # nothing was imported before
            process = launch(str(tmp_path), str(tmp_path / "home"), words, ("-c", WITHOUT.format(list(hidden))), **more)
            done = finish(str(tmp_path), process)
        else:
            for name in hidden:
                monkeypatch.setitem(sys.modules, name, None)
            done = InProcess(tmp_path, capfd)(*words, **more)
        return done.code, (done.out + done.err).strip().split("\n")
    return call


def asked_for(line):
    """The packages of a line's pip command, without their ranges; it runs this very Python."""
    command = line[line.index(sys.executable):].split(", then ")[0].split(", or ")[0]
    words = shlex.split(command)
    assert words[:4] == [sys.executable, "-m", "pip", "install"] and all(re.search("[<>=]=", word) for word in words[4:])
    return {re.match("[A-Za-z0-9_-]+", word).group() for word in words[4:]} - {"protobuf"}


@pytest.fixture
def required(monkeypatch):
    """Every requirement of setup.py."""
    told = {}
    monkeypatch.setattr(setuptools, "setup", lambda **words: told.update(words))
    monkeypatch.chdir(ROOT)
    with open("setup.py", encoding="utf-8") as f:
        exec(compile(f.read(), "setup.py", "exec"), {"__file__": os.path.join(ROOT, "setup.py"), "__name__": "setup"})
    return [text for texts in [told["install_requires"]] + list(told["extras_require"].values()) for text in texts]


def test_ranges_are_those_of_setup_py(required):
    written = [text.split(";")[0].strip() for text in required]
    for module, both in packages.REQUIREMENTS.items():
        for requirement in both[0] + both[1]:
            assert requirement in written, module


@pytest.mark.parametrize("python, modules, words", [
    ((3, 11), ("cv2",), ["opencv-python-headless>=4.8,<4.12"]), ((3, 6), ("cv2",), ["opencv-python-headless==4.1.1.26"]),
    ((3, 6), ("onnx", "tflite"), ["onnx>=1.11,<1.12", "protobuf>=3.19,<3.20", "tflite>=2.10,<3"]),
    ((3, 13, 1), ("yaml", "unheard_of"), ["PyYAML>=3.12,<7", "unheard_of"]),
])
def test_the_command_is_one_that_a_shell_understands(monkeypatch, python, modules, words):
    monkeypatch.setattr(sys, "executable", "/opt/my env/bin/python")
    told = shlex.split(packages.install(*modules, python=python))
    assert told == ["/opt/my env/bin/python", "-m", "pip", "install"] + words


@pytest.mark.parametrize("words, hidden, missing", [
    (("run", "portrait"), ALL, ALL[:3] + (packages.fastest_runtime(),)),
    (("run", "portrait"), packages.RUNTIMES, (packages.fastest_runtime(),)),
    (("run", "portrait", "--runtime", "openvino"), packages.RUNTIMES, ("openvino",)),
    (("models", "fetch"), ALL, ALL[:3] + (packages.fastest_runtime(),)),
    (("models", "fetch"), ("tflite",), ("tflite",)),
    (("models", "fetch", "mb05"), ("onnx",), ("onnx",)),
], ids=str)
def test_what_is_missing_is_reported_before_anything_is_fetched(tmp_path, without, words, hidden, missing):
    if not set(missing) >= set(packages.absent(ALL[:3])):
        pytest.skip("this environment lacks more")
    code, lines = without(hidden, *words)
    assert code == 4 and len(lines) == 1 and lines[0].startswith("nanoface: "), lines
    assert asked_for(lines[0]) == set(missing)
    kept = [name for _, _, names in os.walk(str(tmp_path / "home")) for name in names if name != ".lock"]
    assert kept == []


@pytest.mark.parametrize("words", [("models", "list"), ("help",), ("completion", "bash"), ("status", "absent"), ("doctor",)],
                         ids=" ".join)
def test_what_needs_no_network_works_without_the_packages(without, words):
    code, lines = without(ALL, *words, fresh=True)
    assert "internal error" not in "".join(lines) and "Traceback" not in "".join(lines)
    assert code == {"status": 2, "doctor": 1}.get(words[0], 0)
    if words[0] == "doctor":
        cure = lines[next(i for i, line in enumerate(lines) if "nothing that can run a network" in line) + 1]
        assert asked_for(cure) == {packages.fastest_runtime()}


def test_no_cure_names_an_extra_of_a_distribution_that_is_on_no_index():
    cure, found = re.compile(r"pip install[^\n`]*\bnanoface(?![-_/.*])\S*|'nanoface\[\w+\]'"), []
    for top in ("edge", "engines", "calibration", "docs", "systemd", "README.md", "nanoface.py"):
        place = os.path.join(ROOT, top)
        for folder, _, names in os.walk(place) if os.path.isdir(place) else [(ROOT, (), [top])]:
            for path in [os.path.join(folder, name) for name in names if name.endswith((".py", ".md", ".yaml", ".sh"))]:
                with open(path, encoding="utf-8") as f:
                    found += [(path, hit) for hit in cure.findall(f.read())]
    assert found == []
