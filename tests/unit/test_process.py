"""What the command settles before numpy is loaded: on a Tegra and elsewhere; and no user site in an environment."""
import json
import os
import subprocess
import sys

import pytest

from edge.host import process

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NUMPY = """
import os
with open({log!r}, "a") as f:
    f.write(os.environ.get("OPENBLAS_CORETYPE", "-") + "\\n")
raise ImportError("a stand-in")
"""
AS_BOARD = """
import platform, sys
platform.machine, platform.release = lambda: {machine!r}, lambda: {kernel!r}
from edge.host import process
process.TEGRA_RELEASE, process.DEVICE_TREE = {files!r}
from edge.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
PATHS = """
import json, subprocess, sys
if sys.argv[1:] == ["as nanoface"]:
    from edge.cli.main import main
    main(["--version"])
child = subprocess.check_output([sys.executable, "-c", "import sys; print(sys.flags.no_user_site)"])
print(json.dumps([sys.path, int(child)]))
"""


def call(folder, python, code, *words, **more):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("NANOFACE_", "OPENBLAS_", "OMP_", "PYTHON"))}
    env.update(HOME=str(folder), NANOFACE_HOME=str(folder), NANOFACE_CONFIG=os.devnull, **dict({"PYTHONPATH": ROOT}, **more))
    return subprocess.run([python, "-c", code] + list(words), env=env, cwd=str(folder), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)


COMMANDS = (["run", "--source", "portrait"], ["doctor"], ["bench"], ["build"])
NANO = ("aarch64", None, b"nvidia,p3450-0000\0nvidia,tegra210\0", "4.9.253", {}, "ARMV8")


@pytest.mark.parametrize("words, machine, release, tree, kernel, given, expected", [(words,) + NANO for words in COMMANDS] + [
    (["doctor"],) + case for case in (
        ("aarch64", "# R32", None, "4.9.253", {}, "ARMV8"),
        ("aarch64", None, None, "4.9.253-tegra", {}, "ARMV8"),  # in a container
        ("aarch64", "# R32", None, "4.9.253-tegra", {"OPENBLAS_CORETYPE": "CORTEXA57"}, "CORTEXA57"),
        ("aarch64", None, b"raspberrypi,4-model-b\0brcm,bcm2711\0", "5.10.0", {}, "-"),
        ("aarch64", None, None, "5.10.0", {}, "-"),
        ("x86_64", "# R32", None, "4.9.253-tegra", {}, "-"))
])
def test_numpy_finds_the_core_type_of_a_tegra_and_nothing_elsewhere(
        tmp_path, machine, release, tree, kernel, given, expected, words):
    files = tmp_path / "release", tmp_path / "compatible"
    if release:
        files[0].write_text(release)
    if tree:
        files[1].write_bytes(tree)
    (tmp_path / "stub" / "numpy").mkdir(parents=True)
    (tmp_path / "stub" / "numpy" / "__init__.py").write_text(NUMPY.format(log=str(tmp_path / "log")))
    code = AS_BOARD.format(machine=machine, kernel=kernel, files=tuple(str(f) for f in files))
    done = call(tmp_path, sys.executable, code, *words, PYTHONPATH=os.pathsep.join([str(tmp_path / "stub"), ROOT]), **given)
    assert "Traceback" not in done.stderr
    assert set((tmp_path / "log").read_text().split()) == {expected}


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A virtual environment that sees the system's packages, and a home whose user site has some of its own."""
    home = tmp_path_factory.mktemp("home")
    subprocess.check_call([sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", str(home / ".venv")])
    site = home / ".local" / "lib" / "python{}.{}".format(*sys.version_info[:2]) / "site-packages"
    for folder in (site, home / "linked"):
        folder.mkdir(parents=True)
    (site / "linked.pth").write_text(str(home / "linked") + "\n")
    return home, str(home / ".venv" / "bin" / "python")


def paths(home, python, *words, **more):
    """sys.path, and whether a child would have no user site."""
    done = call(home, python, PATHS, *words, **more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_an_environment_has_no_user_site_and_neither_have_its_children(environment):
    home, python = environment
    before, _ = paths(home, python)
    assert [p for p in before if ".local" in p or "linked" in p], "the case is none: the user site was not there before"
    after, child_has_none = paths(home, python, "as nanoface")
    assert after == [p for p in before if ".local" not in p and "linked" not in p] and child_has_none == 1


def test_without_an_environment_the_user_site_is_all_there_is(environment):
    home, python = environment
    base = os.path.join(sys.base_prefix, "bin", "python{}.{}".format(*sys.version_info[:2]))
    if not os.path.exists(base):
        pytest.skip("needs {}".format(base))
    found, child_has_none = paths(home, base, "as nanoface")
    assert child_has_none == 0 and str(home / "linked") in found
    found, child_has_none = paths(home, base, "as nanoface", PYTHONNOUSERSITE="1")
    assert child_has_none == 1 and str(home / "linked") not in found


def test_of_this_process_nothing_is_lost(monkeypatch):
    monkeypatch.setattr(os, "environ", {"OMP_NUM_THREADS": "3"})
    before = list(sys.path)
    process.prepare_process()
    assert sys.path == before and os.environ["OMP_NUM_THREADS"] == "3" and os.environ["OPENBLAS_NUM_THREADS"] == "1"
