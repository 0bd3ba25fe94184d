"""The networks and engines of the service: /var/lib/nanoface has a home for each version, made before that is switched to.

The link `home` of a version's program leads to it, so that one rename switches all of it, and one leads back.
"""
import json
import os
import re
import shutil
from typing import Any, BinaryIO, Dict, List

from edge.core.errors import ModelError
from edge.host.disk import LOCK, PART, Draft, write_whole
from edge.host.safeopen import open_read, random_word
from edge.service import places
from edge.service.acting import acting_as, owner_of
from edge.service.places import Places
from edge.service.steps import ServiceError, Steps
from edge.store import models, plans

PINS = "fp16.json"
VERSION = re.compile(r"[\w.+-]+")
BLOCK_BYTES = 1 << 20
NO_NETWORKS = ("there are no networks, neither in {} nor in {}: {} first, or name the folder that "
               "has them with --networks")


def check_networks(home: str, tree: Places) -> None:
    """Raises ModelError where there is nothing to run with."""
    if not index_of(home) and not any(index_of(tree.home(name)) for name in homes(tree)):
        raise ModelError(NO_NETWORKS.format(models.onnx_dir(home), tree.at(places.HOME), models.cure()))


def index_of(home: str) -> Dict[str, Dict[str, Any]]:
    """As the owner of `home` may read it. Raises ModelError."""
    with acting_as(owner_of(home)):
        return models.read_index(home)


def homes(tree: Places) -> List[str]:
    """Versions that have a home, also after the program was uninstalled."""
    folder = tree.at(places.HOME)
    with acting_as(owner_of(folder)):
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        return [name for name in names if VERSION.fullmatch(name) and not name.endswith(PART)
                and os.path.isdir(models.onnx_dir(os.path.join(folder, name)))]


def prepare(steps: Steps, home: str, version: str, in_use: str, tree: Places) -> None:
    """The home of `version`: what the version before it has, and what `home` has newer or more."""
    own = tree.home(version)
    before = in_use or (homes(tree) or [""])[-1]
    if before and not os.path.isdir(own) and os.path.isdir(tree.home(before)):
        steps.as_user("take over the networks and engines of {}".format(before),
                      lambda: _take_over(tree.home(before), own))
    _bring(steps, home, own)
    folder = plans.plans_dir(own)  # with its lock: builds and the service take turns
    if not os.path.isdir(folder):
        steps.as_user("make {}".format(folder), lambda: os.makedirs(folder))


def _take_over(before: str, own: str) -> None:
    """By hard links: files are replaced, never written into, so that it costs no room. Whole or not at all."""
    folder = os.path.dirname(own)
    for name in os.listdir(folder):
        if name.endswith(PART):
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
    part = "{}.{}{}".format(own, random_word(), PART)
    shutil.copytree(before, part, symlinks=True, copy_function=_link, ignore=shutil.ignore_patterns(LOCK, "*" + PART))
    os.rename(part, own)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except PermissionError:  # it is root's, of a build by hand
        shutil.copyfile(source, target)


def _bring(steps: Steps, home: str, own: str) -> None:
    """Networks are replaced by those of `home`; existing engines stay."""
    theirs = index_of(home)
    if os.path.realpath(home) == os.path.realpath(own) or not theirs:
        return
    ours = index_of(own)
    if any(ours.get(name) != entry for name, entry in theirs.items()):
        steps.do("copy {} networks from {}".format(len(theirs), models.onnx_dir(home)),
                 lambda: _copy_networks(steps, home, own, dict(ours, **theirs)))
    source, target = plans.plans_dir(home), plans.plans_dir(own)
    missing = _absent(source, target)
    if missing:
        steps.do("copy the engines that lie in {}".format(source), lambda: _copy(steps, missing, source, target))
    if PINS in _files(home) and not _same(os.path.join(home, PINS), os.path.join(own, PINS)):
        steps.do("write {}".format(os.path.join(own, PINS)), lambda: _copy(steps, [PINS], home, own))


def _copy_networks(steps: Steps, home: str, own: str, index: Dict[str, Dict[str, Any]]) -> None:
    source, target = models.onnx_dir(home), models.onnx_dir(own)
    names = [name for name in _files(source) if name != models.INDEX]
    _copy(steps, [n for n in names if not _same(os.path.join(source, n), os.path.join(target, n))], source, target)
    text = json.dumps({"schema": models.SCHEMA, "networks": index}, indent=1, sort_keys=True)
    with acting_as(steps.user):
        write_whole(os.path.join(target, models.INDEX), text.encode("utf-8"))  # last: what it names is there


def _same(one: str, other: str) -> bool:
    try:
        with _opened(one) as a, _opened(other) as b:
            sizes = [os.fstat(f.fileno()).st_size for f in (a, b)]  # first: one of them may be as large as its owner likes
            return sizes[0] == sizes[1] and a.read() == b.read()
    except FileNotFoundError:
        return False


def _opened(path: str) -> BinaryIO:
    """Of a file, as the owner of its folder may read it."""
    with acting_as(owner_of(os.path.dirname(path))):
        return os.fdopen(open_read(path), "rb")


def _files(folder: str) -> List[str]:
    with acting_as(owner_of(folder)):
        if not os.path.isdir(folder):
            return []
        names = [n for n in sorted(os.listdir(folder)) if n != LOCK and not n.endswith(PART)]
        return [n for n in names if os.path.isfile(os.path.join(folder, n))]


def _absent(source: str, target: str) -> List[str]:
    return [name for name in _files(source) if not os.path.exists(os.path.join(target, name))]


def _copy(steps: Steps, names: List[str], source: str, target: str) -> None:
    """Read as the owner of one folder, written as that of the other: no link makes root read or write something else."""
    for name in names:
        with _opened(os.path.join(source, name)) as f, acting_as(steps.user), Draft(os.path.join(target, name)) as draft:
            for block in iter(lambda: f.read(BLOCK_BYTES), b""):
                draft.write(block)


def has_tensorrt(steps: Steps, version: str, tree: Places) -> bool:
    """For the installed program; assumed in a dry run, where there is none."""
    python = os.path.join(tree.program(version), "bin", "python3")
    if not os.path.exists(python):
        return True
    check = "import importlib.util, sys; sys.exit(importlib.util.find_spec('tensorrt') is None)"
    return steps.ask(python, "-I", "-c", check).code == 0


def build(steps: Steps, version: str, tree: Places, *options: str) -> None:
    """The engines of this board, with the program that will use them."""
    program = tree.program(version)
    code = steps.show([os.path.join(program, "bin", "nanoface"), "build", "--config", tree.at(places.CONFIG)] + list(options),
                      NANOFACE_HOME=tree.home(version))
    if code != 0:
        raise ServiceError("the engines could not be built (see above), so what is in use stays; install --no-build does "
                           "without, and the service then runs on what else there is")
