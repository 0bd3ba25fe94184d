"""Where a run writes to: never over what it reads, never two to one place, and the status log only into a status log."""
import os
import re
from itertools import combinations
from typing import List, Mapping, Sequence, Set, Tuple

from edge.config.load import Config
from edge.core.errors import ConfigError
from edge.outputs.kinds import OutputSpec
from edge.outputs.spec import PictureNames
from edge.sources.spec import Kind, classify
from edge.ssi.header import DATA
from edge.telemetry.status.file import check_status, names_of

NUMBERED = re.compile(r"\d{6,}")  # that a folder gets of a film
NO_FILE = Kind("", "")


def check_targets(specs: Sequence[OutputSpec], config: Config) -> None:
    """Raises ConfigError before anything is opened."""
    outputs = [spec for spec in specs if spec.path]
    kind = NO_FILE if config.source.spec is None else classify(config.source.spec)
    status, read = config.status.file(os.environ), read_files(config, kind)
    names = {naming: _annotated(kind, naming) for naming in {spec.naming for spec in outputs}}
    log_files = [] if status is None else names_of(status, config.status.keep)
    for spec in outputs:
        # a suffix keeps it off what lies in the source's own folder
        before = [path for path in read if not (spec.naming[1] and os.path.isdir(path))]
        over = next((path for path in before if _writes(spec, path, names)), "") or _over(spec, names, read)
        if over:
            raise ConfigError("--output {} would write over the source {}".format(spec.text, over))
        for path in log_files:
            if _writes(spec, path, names):
                raise ConfigError("--output {} and --status {} go to the same place".format(spec.text, status))
    for one, other in combinations(outputs, 2):
        if any(_writes(one, path, names) for path in other.paths) or any(_writes(other, path, names) for path in one.paths):
            raise ConfigError("--output {} and --output {} go to the same place".format(one.text, other.text))
    for path in read:
        if any(_same(path, name) for name in log_files):
            raise ConfigError("--status {} would write over the source {}".format(status, path))
    if status is not None:
        check_status(status, config.status.keep)


class NewFolders:
    """Folders that a run is going to make for its outputs and its status log; noted before anything is opened."""

    def __init__(self, specs: Sequence[OutputSpec], config: Config) -> None:
        targets = [spec.path if spec.is_folder else os.path.dirname(spec.path) for spec in specs if spec.path]
        targets += [os.path.dirname(config.status.path)] if config.status.path else []
        self._missing = [path for path in sorted(set(targets)) if path and not os.path.isdir(path)]

    def note(self) -> str:
        """Those that were made by now, each reported once; "" for none."""
        made = [path for path in self._missing if os.path.isdir(path)]
        self._missing = [path for path in self._missing if path not in made]
        return "made the folder{} {}".format("s" if len(made) > 1 else "", " and ".join(made)) if made else ""


def read_files(config: Config, kind: Kind) -> List[str]:
    """What is there and is read: the source, the camera's intrinsics, and boxes with their data."""
    boxes = config.source.boxes
    found = ([config.camera.intrinsics] if config.camera.intrinsics else []) + ([boxes, boxes + DATA] if boxes else [])
    found += [kind.target] + list(kind.paths)
    return [path for path in found if path and os.path.exists(path)]


def _annotated(kind: Kind, naming: Tuple[str, str]) -> Set[str]:
    """How a folder of annotated pictures names those of a source."""
    names = PictureNames(*naming)
    return {names.name(path, seq) for seq, path in enumerate(kind.paths)}


def _writes(spec: OutputSpec, path: str, names: Mapping[Tuple[str, str], Set[str]]) -> bool:
    """Whether an output writes to `path`; `names` as _annotated() has them, by what they end in."""
    if any(_same(written, path) for written in spec.paths):
        return True
    folder, name = os.path.split(os.path.abspath(path))
    each, suffix = spec.naming
    ending = suffix + (each or ".jpg")
    numbered = name.endswith(ending) and NUMBERED.fullmatch(name[:-len(ending)]) is not None
    return spec.is_folder and (name in names[spec.naming] or numbered) and _same(spec.path, folder)


def _over(spec: OutputSpec, names: Mapping[Tuple[str, str], Set[str]], read: Sequence[str]) -> str:
    """The picture in the output's folder that leads to one that is read, by a link; "" where there is none."""
    if not spec.is_folder:
        return ""
    sources = {os.path.realpath(path) for path in read} | {_number(path) for path in read}
    written = (os.path.join(spec.path, name) for name in sorted(names[spec.naming]))
    return next((path for path in written if os.path.exists(path) and sources & {os.path.realpath(path), _number(path)}), "")


def _number(path: str) -> Tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _same(one: str, other: str) -> bool:
    """Also by another name, a symbolic or a hard link. /dev/null may be shared."""
    if os.path.realpath(one) == os.path.realpath(other):
        return os.path.realpath(one) != os.devnull
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False  # one of them is not there
