"""The networks and engines of the service: /var/lib/nanoface has a home for each version, made before that is switched to.

The link `home` of a version's program leads to it, so that one rename switches all of it, and one leads back.
"""
import json
import os
import shutil
from typing import Any, Dict, List

from edge import modelstore, planstore
from edge.disk import LOCK, PART, write_whole
from edge.errors import ModelError
from edge.service import places
from edge.service.places import Places
from edge.service.steps import ServiceError, Steps

PINS = "fp16.json"
NO_NETWORKS = ("there are no networks, neither in {} nor in {}: {} first, or name the folder that "
               "has them with --networks")


def check_networks(home: str, seen: Places) -> None:
    """Raises ModelError where there is nothing to run with."""
    if not modelstore.read_index(home) and not any(modelstore.read_index(seen.home(name)) for name in homes(seen)):
        raise ModelError(NO_NETWORKS.format(modelstore.onnx_dir(home), seen.at(places.HOME), modelstore.cure()))


def homes(seen: Places) -> List[str]:
    """Versions that have a home, also after the program was uninstalled."""
    folder = seen.at(places.HOME)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [name for name in names if os.path.isdir(modelstore.onnx_dir(os.path.join(folder, name)))]


def prepare(steps: Steps, home: str, version: str, in_use: str, seen: Places) -> None:
    """The home of `version`: what the version before it has, and what `home` has newer or more."""
    own = seen.home(version)
    before = in_use or (homes(seen) or [""])[-1]
    if before and not os.path.isdir(own) and os.path.isdir(seen.home(before)):
        steps.do("take over the networks and engines of {}".format(before), lambda: _take_over(seen.home(before), own))
    _bring(steps, home, own)
    plans = planstore.plans_dir(own)  # with its lock: builds and the service take turns
    if not os.path.isdir(plans):
        steps.do("make {}".format(plans), lambda: os.makedirs(plans))


def _take_over(before: str, own: str) -> None:
    """By hard links: files are replaced, never written into, so that it costs no room. Whole or not at all."""
    part = own + PART
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(before, part, copy_function=os.link, ignore=shutil.ignore_patterns(LOCK, "*" + PART))
    os.rename(part, own)


def _bring(steps: Steps, home: str, own: str) -> None:
    """Networks are replaced by those of `home`; engines that are there stay."""
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


def has_tensorrt(steps: Steps, version: str, seen: Places) -> bool:
    """As the program sees it; assumed where that is not there, in a dry run."""
    python = os.path.join(seen.program(version), "bin", "python3")
    if not os.path.exists(python):
        return True
    looking = "import importlib.util, sys; sys.exit(importlib.util.find_spec('tensorrt') is None)"
    return steps.ask(python, "-I", "-c", looking).code == 0


def build(steps: Steps, version: str, seen: Places, *options: str) -> None:
    """The engines of this board, with the program that will use them."""
    program = seen.program(version)
    code = steps.show([os.path.join(program, "bin", "nanoface"), "build", "--config", seen.at(places.CONFIG)] + list(options),
                      NANOFACE_HOME=seen.home(version), OPENBLAS_CORETYPE="ARMV8")
    if code != 0:
        raise ServiceError("the engines could not be built (see above), so what is in use stays; install --no-build does "
                           "without, and the service then runs on what else there is")
