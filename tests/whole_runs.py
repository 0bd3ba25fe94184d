"""`nanoface` in processes of its own, as a user runs it, and what its files say. For the tests of the whole program."""
import json
import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest
from patience import PATIENCE_S

from edge.store import models

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEFAULT_NETWORKS = ("yunet_s", "face_attention", "face_landmark", "mb05", "iris_landmark", "canonical_face")
RUNTIMES = ("openvino", "onnxruntime")


def need_runtime(*names):
    """Skips by name where none of these packages is there."""
    if not any(find_spec(name) is not None for name in names):
        pytest.skip("needs the package {}".format(" or ".join(names)))


def need_networks(home, *names):
    """Skips by name where one of these was not built."""
    absent = [name for name in names if name not in models.read_index(home)]
    if absent:
        pytest.skip("needs the networks {}: run `nanoface models fetch --all`".format(", ".join(absent)))


def quick():
    """Words for a short run where the runtime does not matter: OpenVINO takes longer to load."""
    return ("--runtime", "onnxruntime") if find_spec("onnxruntime") else ()


def python_path(*more):
    """Ours before what there is, which may hold the packages."""
    return os.pathsep.join((ROOT,) + more + tuple(filter(None, [os.environ.get("PYTHONPATH")])))


def environment(folder, home, **more):
    """Nothing of the user's own: no configuration, no state, no networks but those of `home`."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("NANOFACE_", "XDG_"))}
    env.update(PYTHONPATH=python_path(), NANOFACE_HOME=str(home), NANOFACE_CONFIG=os.devnull, COLUMNS="100",
               XDG_STATE_HOME=os.path.join(str(folder), "state"), NANOFACE_PROFILES=os.path.join(str(folder), "profiles"))
    env.update(more)
    return env


def launch(folder, home, words, program=("-m", "edge"), **more):
    """The process, at work in `folder`; `more` are variables of its environment."""
    return subprocess.Popen(
        [sys.executable] + list(program) + list(words), cwd=folder, env=environment(folder, home, **more),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)


class Done:
    """A process that has ended, and the folder that it worked in."""

    def __init__(self, folder, code, out, err):
        self.folder, self.code, self.out, self.err = folder, code, out, err

    def path(self, name):
        return os.path.join(self.folder, name)

    def lines(self, name):
        """The lines of a file, without their ends; the last one must be whole."""
        with open(self.path(name), encoding="utf-8") as f:
            text = f.read()
        assert not text or text.endswith("\n"), name
        return text.split("\n")[:-1]

    def records(self, name):
        return [json.loads(line) for line in self.lines(name)]

    def notes(self):
        """What it said on standard error beside its progress, line by line."""
        lines = [line for line in self.err.split("\n") if line]
        return [line for line in lines if not (line[0].isdigit() and " frames" in line)]


class Program:
    """`nanoface` with the networks of one home; every call gets a new folder to work in."""

    def __init__(self, home, folders):
        """`folders`: pytest's tmp_path_factory."""
        self.home, self._folders = str(home), folders

    def with_home(self, home):
        return Program(home, self._folders)

    def start(self, *words, **more):
        """The folder and the process."""
        folder = str(self._folders.mktemp("run"))
        return folder, launch(folder, self.home, words, **more)

    def call(self, *words, **more):
        """What a call came to, whatever its exit code."""
        folder, process = self.start(*words, **more)
        return finish(folder, process)

    def run(self, *words, **more):
        """A run that must end well."""
        if "--status" not in words:
            words = words + ("--status", "none")
        done = self.call("run", *words, **more)
        assert done.code == 0 and "Traceback" not in done.err, done.err
        return done


def whole_program(home, folders):
    """The program with the default networks. Skips by name where they or every runtime are missing."""
    need_runtime(*RUNTIMES)
    need_networks(home, *DEFAULT_NETWORKS)
    return Program(home, folders)


def finish(folder, process, timeout_s=PATIENCE_S):
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Done(folder, process.returncode, out, err)


def wait_for_lines(path, count, process):
    """Until a growing file has that many lines. Fails where its writer ends before."""
    deadline = time.monotonic() + PATIENCE_S
    while count_lines(path) < count:
        assert process.poll() is None and time.monotonic() < deadline, "the run ended early"
        time.sleep(0.01)


def count_lines(path):
    try:
        with open(path, "rb") as f:
            return f.read().count(b"\n")
    except FileNotFoundError:
        return 0


def one_line(err):
    """The line that says what is wrong: the last one, the only one of its kind, and no trace."""
    assert "Traceback" not in err, err
    lines = err.strip().split("\n")
    assert [line for line in lines if line.startswith("nanoface: ")] == lines[-1:], err
    return lines[-1]


def copy_home(home, to, names):
    """A home that holds only these networks, as if no other had been fetched."""
    built = models.read_index(home)
    os.makedirs(models.onnx_dir(to))
    for name in names:
        for key in ("file", "cpu_file", "mesh_file"):
            if built[name].get(key):
                shutil.copy(os.path.join(models.onnx_dir(home), built[name][key]), models.onnx_dir(to))
    write_index(to, {name: built[name] for name in names})
    return to


def write_index(home, networks):
    with open(os.path.join(models.onnx_dir(home), models.INDEX), "w", encoding="utf-8") as f:
        json.dump({"schema": models.SCHEMA, "networks": networks}, f)
