"""The distribution as somebody installs it: what is in its wheel, and that it runs among strangers' files."""
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import pytest
from patience import PATIENCE_S
from whole_runs import DEFAULT_NETWORKS, ROOT, RUNTIMES, need_networks, need_runtime, quick

OURS = ("edge", "engines", "calibration")
BUILT = ("onnx", "plans", "cache", "__pycache__")  # of a checkout: not of the distribution
STRANGE = "raise SystemExit('a stranger was imported')\n"
EXAMPLE = """
from nanoface import Tracker
with Tracker({0}) as tracker:
    for frame, faces in Tracker.stream("portrait", max_frames=2, {0}):
        print(faces == tracker(frame.image, time_s=frame.time_s), len(faces))
"""


def sources():
    """The files of our packages, as git knows them; without git, those that are there."""
    try:
        told = subprocess.check_output(["git", "ls-files", "-z"] + list(OURS) + ["nanoface.py"], cwd=ROOT,
                                       stderr=subprocess.DEVNULL)
        names = {name for name in told.decode("utf-8").split("\0") if name}
    except (OSError, subprocess.CalledProcessError):
        names = set()
    return {name for name in names or walked() if os.path.exists(os.path.join(ROOT, name))}


def walked():
    found = {"nanoface.py"}
    for package in OURS:
        for place, inner, names in os.walk(os.path.join(ROOT, package)):
            inner[:] = [name for name in inner if name not in BUILT]
            found.update(os.path.relpath(os.path.join(place, name), ROOT) for name in names)
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Its path. Built from a copy, so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in sources() | {"setup.py", "README.md"} | {"systemd/" + n for n in os.listdir(os.path.join(ROOT, "systemd"))}:
        target = folder / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.isfile(os.path.join(ROOT, name)):
            shutil.copy(os.path.join(ROOT, name), str(target))
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--use-pep517",
         "--wheel-dir", str(folder), str(folder / "source")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=PATIENCE_S)
    if done.returncode != 0 and ("No matching distribution" in done.stdout or "No module named pip" in done.stdout):
        pytest.skip("pip finds no setuptools to build a wheel with")
    assert done.returncode == 0, done.stdout
    return str(next(folder.glob("nanoface-*.whl")))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment with it and python3-systemd, and the packages of this one behind them."""
    folder = str(tmp_path_factory.mktemp("installed"))
    subprocess.check_call([sys.executable, "-m", "venv", "--without-pip", folder])
    subprocess.check_call(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index",
         "--no-warn-script-location", "--ignore-installed", "--prefix", folder, wheel], timeout=PATIENCE_S)
    site = os.path.join(folder, "lib", "python{}.{}".format(*sys.version_info[:2]), "site-packages")
    paths = sysconfig.get_paths()
    with open(os.path.join(site, "behind.pth"), "w") as f:  # our own editable installation there is not followed
        f.write("\n".join(sorted({paths["purelib"], paths["platlib"]})) + "\n")
    strange(site, "systemd/__init__.py", "systemd/journal.py", "systemd/daemon.py", "systemd/login.py", "systemd/id128.py")
    return folder


def strange(folder, *names):
    for name in names:
        path = os.path.join(str(folder), *name.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(STRANGE)


def call(installed, home, folder, *words, **more):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("NANOFACE_", "XDG_", "PYTHON"))}
    env.update(NANOFACE_HOME=str(home), NANOFACE_CONFIG=os.devnull, XDG_STATE_HOME=str(folder), **more)
    done = subprocess.run([os.path.join(installed, "bin", "python")] + list(words), cwd=str(folder), env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_every_file_of_ours_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as z:
        names = set(z.namelist())
    inside = {name for name in names if not name.split("/")[0].startswith("nanoface-")}
    assert inside == {name.replace(os.sep, "/") for name in sources()}
    assert {name.split("/")[0] for name in inside} == set(OURS) | {"nanoface.py"}
    shipped = {name.rpartition("/")[2] for name in names if "/data/share/nanoface/" in name}
    assert shipped == {name for name in os.listdir(os.path.join(ROOT, "systemd")) if name.startswith("nanoface")}


def test_every_folder_of_ours_is_a_package():
    """Else it is not in the wheel."""
    folders = {os.path.dirname(name) for name in sources() if name.endswith(".py") and os.path.dirname(name)}
    assert [folder for folder in sorted(folders) if folder + "/__init__.py" not in sources()] == []


def test_what_was_installed_runs_beside_what_others_have_put_there(installed, models_home, tmp_path):
    need_runtime(*RUNTIMES)
    need_networks(models_home, *DEFAULT_NETWORKS)
    strange(tmp_path / "hostile", "edge.py", "engines/__init__.py", "calibration.py", "systemd.py")
    more = {"PYTHONPATH": str(tmp_path / "hostile")}
    script = os.path.join(installed, "bin", "nanoface")
    told = call(installed, models_home, tmp_path, script, "run", "--source", "portrait", "--max-frames", "5", "--output",
                "jsonl:-", "--quiet", "--status", "none", *quick(), **more)
    records = [json.loads(line) for line in told.splitlines()]
    assert [record["frame"] for record in records] == [0, 1, 2, 3, 4] and all(record["faces"] for record in records)
    assert "yunet_s" in call(installed, models_home, tmp_path, script, "models", "list", **more)
    options = "runtime={!r}".format(quick()[1]) if quick() else ""
    assert call(installed, models_home, tmp_path, "-c", EXAMPLE.format(options), **more) == "True 1\nTrue 1\n"
    where = call(installed, models_home, tmp_path, "-c", "import nanoface; print(nanoface.__file__)")
    assert os.path.realpath(where.strip()).startswith(os.path.realpath(installed))
