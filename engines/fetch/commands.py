"""`nanoface models list`, `fetch` and `check`: each writes to a text stream and returns the exit code."""
import os
from typing import Any, List, Mapping, Sequence, TextIO

from edge.core.errors import ModelError
from edge.host.disk import one_builder, remove_leftovers
from edge.store.models import cure, onnx_dir, read_index
from engines.fetch.acquire import Acquisition
from engines.fetch.fetch import MIRROR_VARIABLE, cache_dir, cached_path
from engines.fetch.store import damaged_files, is_ready, recipe, size_on_disk
from engines.lint.gate import is_linted
from engines.manifest.entries import Network
from engines.manifest.read import read_manifest
from engines.onnxpackage import fetch_cure
from engines.progress import Report, size_text

_CURE = "connect this machine to the network, or set {} to a folder that has the files".format(MIRROR_VARIABLE)
_ROW = "{:1} {:15}  {:10} {:>7}  {:12} {}"


def _state(home: str, network: Network, index: Mapping[str, Any]) -> List[str]:
    """Size of what is fetched, and state, without hashing anything: `check` does that."""
    size = size_text(network.size)
    entry = index.get(network.name)
    if entry is not None:
        try:
            size_on_disk(home, entry)
        except (OSError, ModelError):
            return [size, "damaged"]
        return [size, "built" if entry.get("recipe") == recipe(network) else "outdated"]
    try:
        cached = all(os.path.getsize(cached_path(home, s)) == s.size for s in network.sources)
    except OSError:
        cached = False
    return [size, "cached" if cached else "not fetched"]


def run_list(home: str, out: TextIO) -> int:
    """Every network with role, size, state and licence; notes on the licences below the table."""
    manifest, index = read_manifest(), read_index(home)
    report = Report(out)
    notes: List[str] = []
    preferred = manifest.defaults()
    report.line(_ROW.format("", "network", "role", "size", "state", "licence"))
    for network in manifest.networks.values():
        mark = ""
        if network.licence_note:
            if network.licence_note not in notes:
                notes.append(network.licence_note)
            mark = " [{}]".format(notes.index(network.licence_note) + 1)
        default = "*" if network.name in preferred else ""
        size, state = _state(home, network, index)
        report.line(_ROW.format(default, network.name, "+".join(network.roles), size, state, network.licence + mark).rstrip())
    for number, note in enumerate(notes, 1):
        report.line("[{}] {}".format(number, note))
    report.line("* what `nanoface models fetch` takes, so many bytes; the others come with their name or with --all")
    report.line("All of it is kept in {} (NANOFACE_HOME).".format(home))
    return 0


def run_check(home: str, out: TextIO) -> int:
    """Hash every built file again; 4 when one is not what it was, or when there is nothing."""
    report, index, manifest = Report(out), read_index(home), read_manifest()
    if not index:
        report.line("nothing is built in {}: {}".format(onnx_dir(home), cure()))
        return ModelError.exit_code
    damaged = False
    for name, entry in sorted(index.items()):
        try:
            faults = damaged_files(home, entry)
        except ModelError as e:
            faults = [str(e)]
        damaged = damaged or bool(faults)
        network = manifest.networks.get(name)
        outdated = network is not None and isinstance(entry, dict) and entry.get("recipe") != recipe(network)
        linted = network is None or network.is_asset or not isinstance(entry, dict) or is_linted(entry)
        intact = "ok" if linted else "ok, but no engine is built of it, as this version did not lint it: " + fetch_cure(name)
        intact = "ok, but of an older manifest or converter: {}".format(cure()) if outdated else intact
        report.line("{:15}  {}".format(name, "; ".join(faults) or intact))
    if damaged:
        report.line("to repair it, {}".format(cure()))
    return ModelError.exit_code if damaged else 0


def _fetch_named(run: Acquisition, names: Sequence[str]) -> None:
    failed = [name for name in names if not run.ensure(name)]
    if failed:
        raise ModelError("{} {}: {}".format(" and ".join(failed), run.why(failed), _CURE))


def _fetch_roles(run: Acquisition, others: Sequence[str]) -> None:
    missing = [role for role in run.manifest.roles if not run.role(role)]
    run.rest(others)
    if missing:
        failed = [name for role in missing for name in role.candidates]
        raise ModelError("nothing is there to {} faces with: {} {}: {}".format(
            " and ".join(role.name for role in missing), ", ".join(failed), run.why(failed), _CURE))


def _index(home: str, report: Report) -> Mapping[str, Any]:
    try:
        return read_index(home)
    except ModelError:
        report.line("the index of {} is damaged: it is made anew".format(onnx_dir(home)))
        return {}


def run_fetch(home: str, names: Sequence[str], fetch_all: bool, force: bool, out: TextIO) -> int:
    """Fetch and build `names`. Without names: the first network of each role that can be had, and whatever was built
    before is kept up to date. With `fetch_all`: everything that can be had. `force` builds again what is up to date.

    Raises ConfigError for an unknown name, and ModelError where a named network, or every network of a role that
    nothing works without, cannot be had.
    """
    manifest, report = read_manifest(), Report(out)
    for name in names:
        manifest.network(name)

    def waiting() -> None:
        report.line("another nanoface is at work in {}: waiting for it".format(home))

    with one_builder(cache_dir(home), waiting):
        for folder in (cache_dir(home), onnx_dir(home)):
            remove_leftovers(folder)
        index, run = _index(home, report), Acquisition(manifest, home, force, report)
        if names:
            _fetch_named(run, names)
        else:
            _fetch_roles(run, [n for n, network in manifest.networks.items()
                               if fetch_all or (n in index and not is_ready(network, home))])
    count = len(run.ready)
    report.line("{} {} ready in {}".format(count, "network is" if count == 1 else "networks are", onnx_dir(home)))
    return 0
