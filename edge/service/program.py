"""The program below /opt/nanoface: a folder for each version, renamed into place once it is complete."""
import hashlib
import os
import shutil
import sys
from typing import Iterator, List, Tuple

import edge
from edge.host.disk import PART, remove_leftovers, write_whole
from edge.host.process import CODE
from edge.service import packages, places
from edge.service.places import Places
from edge.service.steps import ServiceError, Steps, all_to_disk

PACKAGES = ("calibration", "edge", "engines")
ENTRY = "nanoface.py"  # beside them
LEFT_OUT = {"__pycache__", "onnx", "plans", "cache"}  # the last three: the networks of a checkout
DIGEST = "digest"
CHECK = ("-I", "-m", "edge.service.selftest")  # -I: isolated from the environment and the working folder
HIDDEN = ("home", "root", os.path.join("run", "user"))  # hidden from the service by ProtectHome=
START = """#!{}/bin/python3 -s
from nanoface import console
console()
"""


def base_python() -> str:
    """The interpreter below all virtual environments."""
    here = os.path.realpath(sys.executable)
    name = "python{}.{}".format(*sys.version_info[:2])
    there = os.path.join(sys.base_prefix, "bin", name)
    return os.path.realpath(there) if os.path.exists(there) else here


def check_python(tree: Places) -> None:
    """Raises ServiceError where the service would not see the interpreter."""
    python = base_python()
    if tree.live and any(python.startswith("{0}{1}{0}".format(os.sep, name)) for name in HIDDEN):
        raise ServiceError("{} lies in a home, which a service does not see: make the environment with the system's "
                           "python3 and install from there".format(python))


def install_program(steps: Steps, tree: Places) -> str:
    """The name of the folder of this very program; it is made unless it is there. Not yet in use."""
    taken = packages.of_this_environment()
    digest = digest_of(taken)
    for name in tree.versions():
        if _read(os.path.join(tree.program(name), DIGEST)) == digest:
            steps.say("  program {} is there already".format(name))
            return name
    name = _free_name(tree.versions())
    final = "{}/{}".format(places.PROGRAMS, name)
    copied = ", ".join("{0.name} {0.version}".format(package) for package in taken) or "the system's packages"
    steps.do("make {} with {}".format(tree.at(final), copied), lambda: _make(steps, tree, name, digest, taken))
    return name


def _make(steps: Steps, tree: Places, name: str, digest: str, taken: List[packages.Package]) -> None:
    os.makedirs(tree.at(places.PROGRAMS), mode=0o755, exist_ok=True)
    remove_leftovers(tree.at(places.PROGRAMS))
    final = "{}/{}".format(places.PROGRAMS, name)
    part = tree.program(".{}.{}{}".format(name, os.getpid(), PART))
    try:
        _must(steps, base_python(), "-m", "venv", "--system-site-packages", "--without-pip", part)
        python = os.path.join(part, "bin", "python3")
        for entry in os.listdir(os.path.join(part, "bin")):
            if entry.lower().startswith("activate"):
                os.unlink(os.path.join(part, "bin", entry))
        inside = os.path.join("lib", "python{}.{}".format(*sys.version_info[:2]), "site-packages")
        site = os.path.join(part, inside)
        for package in taken:
            for file in package.files:
                os.makedirs(os.path.dirname(os.path.join(site, file)), exist_ok=True)
                shutil.copy(os.path.join(package.folder, file), os.path.join(site, file))
        _copy_ours(site, os.path.join(part, places.SHARE))
        start = os.path.join(part, "bin", "nanoface")
        write_whole(start, START.format(final).encode("ascii"))
        os.chmod(start, 0o755)
        steps.ask(python, "-m", "compileall", "-q", "-d", os.path.join(final, inside), site)  # the service may not
        check = steps.ask(python, *CHECK)
        if check.code != 0:
            raise ServiceError("the program cannot run from {}: {}".format(final, check.last))
        os.symlink("{}/{}".format(places.HOME, name), os.path.join(part, places.HOME_LINK))
        write_whole(os.path.join(part, DIGEST), digest.encode("ascii"))
        all_to_disk()
        os.rename(part, tree.program(name))
        all_to_disk()
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _copy_ours(site: str, share: str) -> None:
    for package in PACKAGES:
        shutil.copytree(os.path.join(CODE, package), os.path.join(site, package), ignore=_left_out)
    shutil.copy(os.path.join(CODE, ENTRY), os.path.join(site, ENTRY))
    os.makedirs(share)
    for file in places.SHIPPED:
        shutil.copy(os.path.join(places.shipped_folder(), file), share)


def _must(steps: Steps, *argv: str) -> None:
    result = steps.ask(*argv)
    if result.code != 0:
        raise ServiceError("`{}` failed: {}".format(" ".join(argv), result.last))


def _left_out(folder: str, names: List[str]) -> List[str]:
    return [name for name in names if name in LEFT_OUT or name.endswith(PART)]


def _free_name(there: Tuple[str, ...]) -> str:
    """The version; with a number where another build of the same version is there."""
    names = [edge.__version__] + ["{}-{}".format(edge.__version__, n) for n in range(2, len(there) + 3)]
    return next(name for name in names if name not in there)


def digest_of(taken: List[packages.Package]) -> str:
    """Of what would be copied: two programs of one digest are the same."""
    digest = hashlib.sha256()
    for package in taken:
        digest.update("{} {}\n".format(package.name, package.version).encode("utf-8"))
    digest.update(base_python().encode("utf-8", "surrogateescape"))
    for path, name in _files():
        digest.update(name.encode("utf-8", "surrogateescape"))
        with open(path, "rb") as f:
            digest.update(hashlib.sha256(f.read()).digest())
    return digest.hexdigest()


def _files() -> Iterator[Tuple[str, str]]:
    """Each file that _copy_ours takes, and its name in what is installed."""
    for package in PACKAGES:
        for place, inner, names in os.walk(os.path.join(CODE, package)):
            inner[:] = sorted(name for name in inner if name not in LEFT_OUT)
            for name in sorted(names):
                path = os.path.join(place, name)
                yield path, os.path.relpath(path, CODE)
    yield os.path.join(CODE, ENTRY), ENTRY
    for file in places.SHIPPED:
        yield os.path.join(places.shipped_folder(), file), "{}/{}".format(places.SHARE, file)


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as f:
            return f.read().strip()
    except (OSError, ValueError):
        return ""
