"""Gets the networks that a program's tracker needs and that are not there, as `nanoface models fetch` does."""
import io
from typing import Any, Callable, List, Sequence

from edge.config.networks import ModelsConfig
from edge.core.errors import StateError
from edge.core.interface import is_file
from edge.core.roles import FILLS_TOO, IRIS, OFF
from edge.store import models as modelstore
from edge.store.canonical import CANONICAL_FACE


def fetch_missing(models: ModelsConfig, report: Callable[[str, str], None]) -> None:
    """Nothing where each role has one of its networks. Lines about it go to report("progress", line).

    Raises ModelError where a network that is needed cannot be had, with the cure.
    """
    home = modelstore.home_dir()
    if not _missing(models, home):
        return
    try:
        from engines.fetch.commands import run_fetch
        from engines.manifest.read import read_manifest
    except ImportError as e:
        raise StateError("the networks cannot be fetched, as {} is missing: install nanoface again".format(e.name))
    out: Any = Lines(lambda line: report("progress", line))
    usual = {name for role in read_manifest().roles for name in role.candidates} | {CANONICAL_FACE}
    if any(usual & set(names) for names in _missing(models, home)):
        run_fetch(home, (), False, False, out)
    named = [names[0] for names in _missing(models, home) if not usual & set(names)]
    if named:
        run_fetch(home, named, False, False, out)


def _missing(models: ModelsConfig, home: str) -> List[Sequence[str]]:
    """The candidates of each role that has none, and that the network of an earlier one does not fill."""
    there = modelstore.read_index(home)
    wanted: List[Sequence[str]] = [models.detect, models.align, models.pose]
    aligner = next((there[name] for name in models.align if name in there), {})
    if IRIS not in aligner.get(modelstore.ROLES, FILLS_TOO.get(models.align_like or "", ())):
        wanted.append(models.iris)
    if tuple(models.pose) != (OFF,):
        wanted.append((CANONICAL_FACE,))
    return [names for names in wanted if tuple(names) != (OFF,) and not is_file(names[0]) and there.keys().isdisjoint(names)]


class Lines(io.TextIOBase):
    """A text stream that hands on each line."""

    def __init__(self, take: Callable[[str], None]) -> None:
        super().__init__()
        self._take, self._begun = take, ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._take(line)
        return len(text)
