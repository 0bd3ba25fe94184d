"""From fetched files to `onnx/` and its index, which edge/store/models.py reads. The same bytes on every machine."""
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Sequence, Tuple

from edge.core.errors import ModelError
from edge.host.disk import storage_error, write_whole
from edge.host.process import CODE
from edge.host.reading import can_be_name, reason
from edge.store.models import BESIDE, INDEX, MESH_SUFFIX, PIXELS, ROLES, SCHEMA, onnx_dir, read_index, sha256_of
from engines.lint.gate import LINT, RULES, SHA256, is_linted, rules_version
from engines.manifest.entries import Network
from engines.onnxpackage import need_onnx

if TYPE_CHECKING:
    from onnx import ModelProto

_CONVERT = os.path.join(CODE, "engines", "convert")


class Built(NamedTuple):
    """What build_network() did; `size` in bytes of all files of the network."""

    fresh: bool  # False: it was up to date
    size: int


def converter_version() -> str:
    """Changes with the converters' code: no number has to be counted up by hand."""
    digest = hashlib.sha256()
    paths = [os.path.join(folder, name) for folder, _, names in os.walk(_CONVERT) for name in names if name.endswith(".py")]
    for name in sorted(os.path.relpath(path, _CONVERT).replace(os.sep, "/") for path in paths):
        with open(os.path.join(_CONVERT, name), "rb") as f:
            digest.update(name.encode() + b"\0" + f.read().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()[:16]


def recipe(network: Network) -> Dict[str, Any]:
    """What the files of a network were made of; when it differs, they are made again."""
    made_of: Dict[str, Any] = {
        "kind": network.kind,
        "options": network.options,
        "sources": [source.sha256 for source in network.sources],
        "converter": converter_version(),
    }
    if network.input is not None:  # the file for CPUs holds its arithmetic
        made_of["input"] = network.input
    if network.roles[1:]:  # the index holds them: an entry of before they were given is made again
        made_of[ROLES] = network.roles
    return json.loads(json.dumps(made_of))


def files_of(entry: Dict[str, Any]) -> List[Tuple[str, str]]:
    """(name, sha256) of each file of an index entry. Raises ModelError for an entry that is not one."""
    try:
        files = [(str(entry["file"]), str(entry["sha256"]))]
        files += [(str(entry[key + "file"]), str(entry[key + "sha256"])) for key in BESIDE.values() if entry.get(key + "file")]
    except (KeyError, TypeError, AttributeError) as e:
        raise ModelError("an entry of {} is damaged".format(INDEX)) from e
    if not all(can_be_name(name) for name, _ in files):
        raise ModelError("an entry of {} is damaged".format(INDEX))
    return files


def damaged_files(home: str, entry: Dict[str, Any]) -> List[str]:
    """What is wrong with the files of an index entry, one line each; empty where every hash is right."""
    faults = []
    for name, sha256 in files_of(entry):
        path = os.path.join(onnx_dir(home), name)
        try:
            found = sha256_of(path)
        except FileNotFoundError:
            faults.append("{} is missing".format(path))
        except (OSError, ValueError) as e:
            faults.append("{} cannot be read ({})".format(path, reason(e)))
        else:
            if found != sha256:
                faults.append("{} is corrupt (sha256 {}... instead of {}...)".format(path, found[:12], sha256[:12]))
    return faults


def is_damaged(home: str, entry: Dict[str, Any]) -> bool:
    try:
        return bool(damaged_files(home, entry))
    except ModelError:
        return True


def index_or_empty(home: str) -> Dict[str, Dict[str, Any]]:
    """An index that cannot be read counts as empty: everything is built again, and the next write replaces it."""
    try:
        return read_index(home)
    except ModelError:
        return {}


def is_current(network: Network, home: str) -> bool:
    """Whether the network was built of the same things by the same converter and is intact on disk."""
    entry = index_or_empty(home).get(network.name)
    return isinstance(entry, dict) and entry.get("recipe") == recipe(network) and not is_damaged(home, entry)


def is_ready(network: Network, home: str) -> bool:
    """Whether nothing is left to do for a network, which also means that it was linted by this version's rules."""
    return is_current(network, home) and (network.is_asset or is_linted(index_or_empty(home)[network.name]))


def lint_file(path: str) -> Dict[str, Any]:
    """Raises ModelError, with an ImportError as its cause where the package onnx is missing."""
    need_onnx("models fetch")
    from engines.lint.lint import verdict
    return dict(verdict(path))


def lint_stored(network: Network, home: str) -> bool:
    """Renew the verdict in the index where it is missing, of another file or by other rules. Whether that was to be done.

    Raises ModelError, with an ImportError as its cause where the package onnx is missing.
    """
    networks = index_or_empty(home)
    entry = networks[network.name]
    if network.is_asset or is_linted(entry):
        return False
    _lint(home, entry)
    _write_index(home, networks)
    return True


def _lint(home: str, entry: Dict[str, Any]) -> None:
    verdict = lint_file(os.path.join(onnx_dir(home), entry["file"]))
    entry[LINT] = dict(verdict, **{SHA256: entry["sha256"], RULES: rules_version()})


def size_on_disk(home: str, entry: Dict[str, Any]) -> int:
    """Bytes. Raises OSError for a file that is not there."""
    return sum(os.path.getsize(os.path.join(onnx_dir(home), name)) for name, _ in files_of(entry))


def _shapes(values: Any) -> Dict[str, Tuple[int, ...]]:
    return {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in values}


def _check_interface(network: Network, model: "ModelProto") -> None:
    """Raises ModelError where the converted network is not what its manifest entry says."""
    assert network.input is not None
    for what, found, wanted in (
            ("the input", list(_shapes(model.graph.input).values()), [network.input.shape]),
            ("the outputs", _shapes(model.graph.output), dict(network.outputs))):
        if found != wanted:
            raise ModelError("{}: {} came out as {} instead of {}: report it".format(network.name, what, found, wanted))


def _contents(network: Network, files: Sequence[str]) -> Tuple[Dict[str, bytes], Dict[str, Any]]:
    """Suffix of the file name -> content, and what more the index says of the file for CPUs."""
    from edge.models.detectors.table import MULTIPLES
    from engines import convert  # pulls in onnx, which `models list` does without
    if network.is_asset:
        return {".npy": convert.canonical_face(files), MESH_SUFFIX: convert.canonical_mesh(files)}, {}
    model = convert.convert(network.kind, files, network.options)
    _check_interface(network, model)
    contents, facts, look = {".onnx": convert.serialise(model)}, {}, network.input
    assert look is not None
    variant = convert.cpu_variant(model)
    folded = convert.with_pixel_input(model if variant is None else variant, look)
    if folded is not None:
        variant, border = folded
        facts[PIXELS] = {"colour": look.colour, "scale": look.scale, "offset": list(look.offset), "border": border}
    if variant is not None:
        contents[".cpu.onnx"] = convert.serialise(variant)
    if network.name in MULTIPLES:
        contents[".sizes.onnx"] = convert.serialise(convert.any_size(model if variant is None else variant))
    return contents, facts


def _decode_numbers(network: Network, files: Sequence[str]) -> Dict[str, Any]:
    from engines import convert
    return {} if network.is_asset else dict(convert.decode_numbers(network.kind, files))


def _write_index(home: str, networks: Dict[str, Dict[str, Any]]) -> None:
    text = json.dumps({"schema": SCHEMA, "networks": networks}, indent=1, sort_keys=True) + "\n"
    write_whole(os.path.join(onnx_dir(home), INDEX), text.encode("utf-8"))


def forget(name: str, home: str) -> None:
    """Take a network out of the index. Raises StorageError."""
    networks = index_or_empty(home)
    if networks.pop(name, None) is not None:
        _write_index(home, networks)


def _remove_old(home: str, name: str) -> None:
    try:
        os.remove(os.path.join(onnx_dir(home), name))
    except FileNotFoundError:
        pass
    except OSError as e:
        raise storage_error(os.path.join(onnx_dir(home), name), e) from e


def build_network(network: Network, files: Sequence[str], home: str, force: bool = False) -> Built:
    """Convert, unless that was done already, and enter the network into the index. `files` are those of its sources.

    Raises ModelError, with an ImportError as its cause where the converter lacks a package, or StorageError. A build
    that is interrupted leaves the former files, or a mixture that the index exposes as corrupt and the next build
    repairs.
    """
    if not force and is_current(network, home):
        return Built(False, size_on_disk(home, index_or_empty(home)[network.name]))
    contents, facts = _contents(network, files)
    entry: Dict[str, Any] = dict(
        facts, role=network.role, decode=_decode_numbers(network, files), recipe=recipe(network))
    if network.roles[1:]:
        entry[ROLES] = list(network.roles)
    for suffix, content in contents.items():
        key = BESIDE.get(suffix, "")
        entry[key + "file"] = network.name + suffix
        entry[key + "sha256"] = write_whole(os.path.join(onnx_dir(home), network.name + suffix), content)
    for suffix in set(BESIDE).difference(contents):
        _remove_old(home, network.name + suffix)
    if not network.is_asset:
        _lint(home, entry)
    networks = index_or_empty(home)
    networks[network.name] = entry
    _write_index(home, networks)
    return Built(True, sum(len(content) for content in contents.values()))
