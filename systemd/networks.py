"""The networks and engines of the service, below /var/lib/nanoface: brought along, kept for the way back, built."""
import json
import os
import shutil
from typing import Any, Dict, List

from edge import modelstore, planstore
from edge.errors import ModelError
from engines.disk import LOCK, PART, write_whole
from systemd import places
from systemd.places import Places
from systemd.steps import ServiceError, Steps

KEPT = "kept"  # below the service's home: for each version what it had when another one took its place
PINS = "fp16.json"
PARTS = (modelstore.onnx_dir(""), planstore.plans_dir(""), PINS)
NO_NETWORKS = ("there are no networks, neither in {} nor in {}: run `nanoface models fetch` first, or name the folder that "
               "has them with --networks")


def check_networks(home: str, seen: Places) -> None:
    """Raises ModelError where there is nothing to run with."""
    own = seen.at(places.HOME)
    if not modelstore.read_index(home) and not modelstore.read_index(own):
        raise ModelError(NO_NETWORKS.format(modelstore.onnx_dir(home), modelstore.onnx_dir(own)))


def bring(steps: Steps, home: str, seen: Places) -> None:
    """Copy what `home` has and the service has not. Networks are replaced by newer ones; engines that are there stay."""
    own = seen.at(places.HOME)
    if os.path.realpath(home) == os.path.realpath(own) or not modelstore.read_index(home):
        return
    theirs, ours = modelstore.read_index(home), modelstore.read_index(own)
    if any(ours.get(name) != entry for name, entry in theirs.items()):
        steps.do("copy {} networks from {}".format(len(theirs), modelstore.onnx_dir(home)),
                 lambda: _copy_networks(home, own, dict(ours, **theirs)))
    plans = _absent(planstore.plans_dir(home), planstore.plans_dir(own))
    if plans:
        steps.do("copy the engines that lie in {}".format(planstore.plans_dir(home)),
                 lambda: _copy(plans, planstore.plans_dir(home), planstore.plans_dir(own)))
    pins = os.path.join(home, PINS)
    if os.path.exists(pins):
        with open(pins, "rb") as f:
            steps.write(os.path.join(own, PINS), f.read())


def _copy_networks(home: str, own: str, index: Dict[str, Dict[str, Any]]) -> None:
    source, target = modelstore.onnx_dir(home), modelstore.onnx_dir(own)
    names = [name for name in _files(source) if name != modelstore.INDEX]
    _copy([name for name in names if not _same(os.path.join(source, name), os.path.join(target, name))], source, target)
    text = json.dumps({"schema": modelstore.SCHEMA, "networks": index}, indent=1, sort_keys=True)
    write_whole(os.path.join(target, modelstore.INDEX), text.encode("utf-8"))  # last: what it names is there


def _same(one: str, other: str) -> bool:
    return (os.path.exists(other) and os.path.getsize(one) == os.path.getsize(other)
            and modelstore.sha256_of(one) == modelstore.sha256_of(other))


def _files(folder: str) -> List[str]:
    if not os.path.isdir(folder):
        return []
    names = [n for n in sorted(os.listdir(folder)) if n != LOCK and not n.endswith(PART)]
    return [n for n in names if os.path.isfile(os.path.join(folder, n))]


def _absent(source: str, target: str) -> List[str]:
    return [name for name in _files(source) if not os.path.exists(os.path.join(target, name))]


def _copy(names: List[str], source: str, target: str) -> None:
    for name in names:
        with open(os.path.join(source, name), "rb") as f:
            write_whole(os.path.join(target, name), f.read())


def keep(steps: Steps, version: str, seen: Places) -> None:
    """Note what `version` runs with. Hard links: files are replaced, never written into, so that it costs no room."""
    own = seen.at(places.HOME)
    kept = os.path.join(own, KEPT, version)

    def action() -> None:
        os.makedirs(kept, exist_ok=True)
        for part in PARTS:
            path, copy = os.path.join(own, part), os.path.join(kept, part)
            if os.path.lexists(path):  # what a power cut took away in the middle is kept as it was
                _remove(copy)
                shutil.copytree(path, copy, copy_function=os.link) if os.path.isdir(path) else os.link(path, copy)

    steps.do("keep the networks and engines of {}".format(version), action)


def give_back(steps: Steps, version: str, seen: Places) -> None:
    """What `version` had when it ran last takes its place again."""
    own = seen.at(places.HOME)
    kept = os.path.join(own, KEPT, version)
    if not os.path.isdir(kept):
        return

    def action() -> None:
        for part in PARTS:
            path, old = os.path.join(own, part), os.path.join(own, ".{}{}".format(part, PART))
            _remove(old)
            if os.path.lexists(path):
                os.rename(path, old)
            if os.path.lexists(os.path.join(kept, part)):
                os.rename(os.path.join(kept, part), path)
            _remove(old)
        _remove(kept)

    steps.do("give the networks and engines of {} back".format(version), action)


def _remove(path: str) -> None:
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def has_tensorrt(steps: Steps, python: str) -> bool:
    looking = "import importlib.util, sys; sys.exit(importlib.util.find_spec('tensorrt') is None)"
    return steps.ask(python, "-I", "-c", looking).code == 0


def build(steps: Steps, version: str, seen: Places) -> None:
    """The engines of this board, with the program that will use them. Nothing where there is no TensorRT."""
    program = seen.program(version)
    python = os.path.join(program, "bin", "python3")
    if os.path.exists(python) and not has_tensorrt(steps, python):
        steps.say("  no TensorRT here: there are no engines to build")
        return
    code = steps.show([os.path.join(program, "bin", "nanoface"), "build", "--config", seen.at(places.CONFIG)],
                      NANOFACE_HOME=seen.at(places.HOME), OPENBLAS_CORETYPE="ARMV8")
    if code != 0:
        raise ServiceError("the engines could not be built (see above), so the version in use stays; --no-build installs "
                           "without, and the service then runs on what else there is")
