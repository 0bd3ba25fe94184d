"""Where the converted networks lie, and their index.

`$NANOFACE_HOME` holds `cache/` (downloads), `onnx/` (converted networks and their index) and `plans/` (TensorRT). The build
step (`engines/`) writes `onnx/index.json`, this module reads it: the two share the file format and nothing else.
"""
import errno
import hashlib
import os
import sys
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from edge.core.errors import ModelError
from edge.core.interface import Interface
from edge.host import commands
from edge.host.process import CODE
from edge.host.reading import read_json, reason
from edge.host.safeopen import open_read

INDEX = "index.json"
SCHEMA = 1
SMALLEST_SCALE, MOST = 1e-6, 1e6  # of what a network makes of a pixel: beyond them nothing is left of it in float32
PIXELS = "cpu_input"  # in an entry of the index; left out where the CPU's file has the network's own input
ROLES = "roles"  # in an entry of the index; left out where "role" is the only one, as every version before wrote it
MESH_SUFFIX = ".mesh.npy"
# further files of a network: how the name ends -> how the two keys of the index begin
BESIDE = {".cpu.onnx": "cpu_", ".sizes.onnx": "sizes_", MESH_SUFFIX: "mesh_"}
HEIGHT, WIDTH = "height", "width"  # the open dimensions of a `sizes_file`
MOST_BYTES = 1 << 31  # of a network or plan: no Nano could load it


class PixelInput(NamedTuple):
    """What a `cpu_file` does itself with pixel values 0..255, (N, H, W, 3) float32, blue first.

    Around the picture it wants `border`, whose value is zero in the network's own numbers: -offset / scale.
    """

    colour: str  # as a crop has it
    scale: float
    offset: Tuple[float, ...]  # per channel, in the order of `colour`
    border: Tuple[int, ...]  # rows and columns at the top, left, bottom, right


class StoredNetwork(NamedTuple):
    """One converted network on disk."""

    name: str
    file: str  # path of the .onnx for TensorRT (PReLU kept)
    cpu_file: str  # path of the .onnx for the runtimes of a CPU; the same where nothing is to be gained
    decode: Mapping[str, Any]  # numbers that the decoder needs and that came with the weights
    role: str = ""  # detect, align, pose, iris, geometry: of the stage that runs it
    sha256: str = ""  # of `file`
    also: Tuple[str, ...] = ()  # roles of later stages that it fills as well, which then need no network
    pixels: Optional[PixelInput] = None  # of `cpu_file`; None: it takes what `file` takes
    interface: Optional[Interface] = None  # of one of the user's own: that of the network that it is like; None: it is ours
    size: Optional[Tuple[int, int]] = None  # width and height of an own one's input, where `like` leaves them to the file

    @property
    def roles(self) -> Tuple[str, ...]:
        return (self.role,) + self.also

    @property
    def like(self) -> str:
        """The name of the network of ours that has its crops and its decoder: mostly its own."""
        return self.name if self.interface is None else self.interface.like


def home_dir(environ: Optional[Mapping[str, str]] = None) -> str:
    """`$NANOFACE_HOME`; else the own one of the service's program, the checkout's `engines/` when run from one, or a folder in
    the user's data directory.
    """
    env = os.environ if environ is None else environ
    if env.get("NANOFACE_HOME"):
        return os.path.abspath(os.path.expanduser(env["NANOFACE_HOME"]))
    if commands.is_installed():
        return os.path.join(sys.prefix, "home")
    if all(os.path.exists(os.path.join(CODE, *name.split("/"))) for name in ("setup.py", "engines/manifest/manifest.yaml")):
        return os.path.join(CODE, "engines")
    data = env.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.path.join(data, "nanoface")


def onnx_dir(home: str) -> str:
    return os.path.join(home, "onnx")


def read_index(home: str) -> Dict[str, Dict[str, Any]]:
    """Network name -> its entry. Empty when nothing was built yet. Raises ModelError for an index that cannot be read."""
    path = os.path.join(onnx_dir(home), INDEX)
    try:
        index = read_json(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as e:
        raise ModelError("{} cannot be read ({}): delete it and {}".format(path, reason(e), cure()))
    networks = index.get("networks") if isinstance(index, dict) and index.get("schema") == SCHEMA else None
    if not isinstance(networks, dict) or not all(isinstance(entry, dict) for entry in networks.values()):
        raise ModelError("{} is not an index of this version: delete it and {}".format(path, cure()))
    return networks


def sha256_of(path: str) -> str:
    """Raises OSError, and ValueError for what is no path."""
    digest = hashlib.sha256()
    with os.fdopen(open_read(path), "rb") as f:
        if os.fstat(f.fileno()).st_size > MOST_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
        for block in iter(lambda: f.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def checked(home: str, name: str, file: str, sha256: str) -> str:
    path = os.path.join(onnx_dir(home), file)
    try:
        found = sha256_of(path)
    except (OSError, ValueError) as e:
        raise ModelError("the file of network {} cannot be read ({}): {}".format(name, reason(e), cure()))
    if found != sha256:
        raise ModelError("{} is corrupt (sha256 {}... instead of {}...): {}".format(path, found[:12], sha256[:12], cure()))
    return path


def locate(home: str, name: str, any_size: bool = False) -> StoredNetwork:
    """The files of a network, their hashes checked; with `any_size`, `cpu_file` is the one whose height and width are open.
    Raises ModelError with the cure."""
    entry = read_index(home).get(name)
    if entry is None:
        raise ModelError("the network {} is not in {}: {}".format(name, onnx_dir(home), cure(name)))
    if not _whole(entry):
        path = os.path.join(onnx_dir(home), INDEX)
        raise ModelError("the entry of {} in {} is damaged: delete that file and {}".format(name, path, cure()))
    file = checked(home, name, entry["file"], entry["sha256"])
    cpu_file = checked(home, name, entry["cpu_file"], entry["cpu_sha256"]) if entry.get("cpu_file") else file
    if any_size:
        if not entry.get("sizes_file"):
            raise ModelError("{} has no file of {} for other sizes: {}".format(onnx_dir(home), name, cure(name)))
        cpu_file = checked(home, name, entry["sizes_file"], entry["sizes_sha256"])
    role = str(entry.get("role", ""))
    also = tuple(other for other in entry.get(ROLES, ()) if other != role)
    pixels = _pixel_input(entry[PIXELS]) if PIXELS in entry else None
    return StoredNetwork(name, file, cpu_file, entry.get("decode", {}), role, entry["sha256"], also, pixels)


def _pixel_input(facts: Any) -> Optional[PixelInput]:
    """None for what is no such entry."""
    try:
        found = PixelInput(str(facts["colour"]), float(facts["scale"]), tuple(float(n) for n in facts["offset"]),
                           tuple(facts["border"]))
    except (KeyError, TypeError, ValueError):
        return None
    fits = found.colour in ("bgr", "rgb") and SMALLEST_SCALE <= found.scale <= MOST and len(found.border) == 4
    fits = fits and len(found.offset) == 3 and all(abs(n) <= MOST for n in found.offset)
    return found if fits and all(type(n) is int and n >= 0 for n in found.border) else None


def _whole(entry: Any) -> bool:
    """Whether an entry of the index has what is read of it."""
    if not isinstance(entry, dict) or not isinstance(entry.get("decode", {}), dict):
        return False
    roles = entry.get(ROLES, [])
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        return False
    if PIXELS in entry and (not entry.get("cpu_file") or _pixel_input(entry[PIXELS]) is None):
        return False
    kinds = [""] + [kind for kind in BESIDE.values() if entry.get(kind + "file")]
    if not all(isinstance(entry.get(kind + key), str) for kind in kinds for key in ("file", "sha256")):
        return False
    names = [entry[kind + "file"] for kind in kinds]
    return all(os.path.basename(name) == name != ".." for name in names)  # of this folder, wherever it came from


def cure(*names: str) -> str:
    """How networks come here; those that are not of the default set are fetched by their name."""
    return commands.run(" ".join(("models fetch",) + names))


def first_available(home: str, candidates: Iterable[str]) -> Tuple[StoredNetwork, Tuple[str, ...]]:
    """The first candidate that was built, and the preferred ones that were not. A corrupt one is an error, not a fallback."""
    built = read_index(home)
    skipped: List[str] = []
    for name in candidates:
        if name in built:
            return locate(home, name), tuple(skipped)
        skipped.append(name)
    if len(skipped) == 1:
        raise ModelError("the network {} is not in {}: {}".format(skipped[0], onnx_dir(home), cure(*skipped)))
    raise ModelError("none of the networks {} is in {}: {}".format(", ".join(skipped), onnx_dir(home), cure()))
