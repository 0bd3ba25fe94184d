"""Weights out of pickle files (.pth of both formats, .pkl of arrays) without running anything that the file names.

A pickle is a program: it may import and call whatever it likes, or ask for more memory than there is. Here it is first
read without being run, and refused where it has an instruction that no weights need; then every name it asks for is
looked up in a short list of our own stand-ins, none of which does more than keep its arguments, and any other name is
refused.
"""
import io
import pickle
import pickletools
import struct
import zipfile
from typing import Any, BinaryIO, Callable, Dict, NamedTuple, Tuple

import numpy as np

from edge.core.errors import ModelError

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGES = {"FloatStorage": "<f4", "HalfStorage": "<f2", "DoubleStorage": "<f8", "LongStorage": "<i8"}
_ARRAY_DTYPES = ("<f4", "<f8")
_INSTRUCTIONS = frozenset((
    "PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE"
    " BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND"
    " APPENDS EMPTY_DICT SETITEM SETITEMS BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET GLOBAL STACK_GLOBAL REDUCE"
    " BUILD BINPERSID"
).split())


class _Storage(NamedTuple):
    key: str
    dtype: str


class _Tensor(NamedTuple):
    """A view of a storage; offset, shape and strides are counted in elements."""

    storage: _Storage
    offset: int
    shape: Tuple[int, ...]
    strides: Tuple[int, ...]


class _Name:
    """What the pickle gets for a name on the list: something to call, and no way from there into the process."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)


class _Dict(dict):
    """An OrderedDict may carry attributes (torch hangs version numbers on it), which are not wanted."""

    def __setstate__(self, state: Any) -> None:
        pass


class _Dtype:
    __slots__ = ("code",)

    def __init__(self, code: str, *_: Any) -> None:
        self.code = "<" + str(code).lstrip("<|=")

    def __setstate__(self, state: Tuple) -> None:
        if state[1] != "<":
            raise ValueError("big-endian array")


class _Array:
    """A numpy array as its pickle describes it."""

    __slots__ = ("values",)

    def __init__(self, *_: Any) -> None:
        self.values = np.zeros(0, np.float32)

    def __setstate__(self, state: Tuple) -> None:
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _Dtype) or dtype.code not in _ARRAY_DTYPES or not isinstance(data, bytes):
            raise ValueError("not an array of floats")
        self.values = np.frombuffer(data, dtype=dtype.code).reshape(shape, order="F" if fortran else "C")


def _tensor(storage: _Storage, offset: int, shape: Tuple, strides: Tuple, *_: Any) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise ValueError("tensor without storage")
    return _Tensor(storage, int(offset), tuple(int(n) for n in shape), tuple(int(n) for n in strides))


def _allowed() -> Dict[Tuple[str, str], Any]:
    """A fresh list for each file, so that no file can leave anything behind."""
    names: Dict[Tuple[str, str], Any] = {
        ("collections", "OrderedDict"): _Name(_Dict),
        ("torch._utils", "_rebuild_tensor_v2"): _Name(_tensor),
        ("numpy", "ndarray"): _Name(_Array),
        ("numpy", "dtype"): _Name(_Dtype),
    }
    for package in ("numpy.core.multiarray", "numpy._core.multiarray"):
        names[package, "_reconstruct"] = _Name(_Array)
    for name, dtype in _STORAGES.items():
        names["torch", name] = dtype
    return names


class _Restricted(pickle.Unpickler):
    """Resolves nothing but the names of `_allowed`. Raises ModelError for any other."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="latin-1")
        self._names = _allowed()

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._names:
            asked = repr(module + "." + name)[:80]
            raise ModelError("the weights ask for {}, which no weights need: they are refused".format(asked))
        return self._names[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key = pid[:3]
        if kind != "storage" or dtype not in _STORAGES.values():
            raise ValueError("storage of an unknown kind")
        if len(pid) > 5 and pid[5] is not None:
            raise ValueError("view of a storage, a form that torch no longer writes")
        return _Storage(str(key), dtype)


def _inspect(file: BinaryIO) -> None:
    """Raises ValueError for a pickle with an unwanted instruction; leaves the file where it was.

    Memo entries are numbered in the order of writing, and the unpickler makes room for the highest number at once.
    """
    start = file.tell()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if opcode.name not in _INSTRUCTIONS or (opcode.name == "LONG_BINPUT" and int(argument or 0) > count):
            raise ValueError("the instruction {} in a pickle of weights".format(opcode.name))
    file.seek(start)


def _load(file: BinaryIO) -> Any:
    try:
        _inspect(file)
        return _Restricted(file).load()
    except (pickle.UnpicklingError, MemoryError, RecursionError, ImportError) as e:
        raise ValueError("damaged pickle") from e


def _bytes_of(path: str) -> BinaryIO:
    with open(path, "rb") as f:
        return io.BytesIO(f.read())


def _from_zip(path: str) -> Tuple[Any, Callable[[_Storage], np.ndarray]]:
    """The object of a .pth as torch >= 1.6 writes it, and what reads a storage of it."""
    with zipfile.ZipFile(path) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("torch compresses nothing")
        members = {name.split("/", 1)[-1]: archive.read(name) for name in archive.namelist()}
    if members.get("byteorder", b"little").strip() != b"little":
        raise ValueError("big-endian weights")
    return _load(io.BytesIO(members["data.pkl"])), lambda s: np.frombuffer(members["data/" + s.key], dtype=s.dtype)


def _from_legacy(path: str) -> Tuple[Any, Callable[[_Storage], np.ndarray]]:
    """The same of an older .pth: five pickles (magic, protocol, machine, object, storage keys), then the storages."""
    file = _bytes_of(path)
    if _load(file) != _LEGACY_MAGIC:
        raise ValueError("not a .pth file")
    _load(file), _load(file)
    content, keys = _load(file), _load(file)
    rest = file.read()
    dtypes = {t.storage.key: t.storage.dtype for t in _tensors_of(content).values()}
    data, at = {}, 0
    for key in keys:
        count, = struct.unpack_from("<q", rest, at)
        dtype = np.dtype(dtypes[key])
        data[key] = np.frombuffer(rest, dtype=dtype, count=count, offset=at + 8)
        at += 8 + count * dtype.itemsize
    return content, lambda s: data[s.key]


def _tensors_of(content: Any) -> Dict[str, _Tensor]:
    """Name -> tensor of a state dict, which may lie under "state_dict" in a checkpoint; other entries are left out."""
    weights = content.get("state_dict", content)
    return {str(name): value for name, value in weights.items() if isinstance(value, _Tensor)}


def _view(tensor: _Tensor, values: np.ndarray) -> np.ndarray:
    """A copy of the tensor's elements. Raises ValueError where they do not lie inside the storage."""
    spans = [(n - 1) * s for n, s in zip(tensor.shape, tensor.strides)]
    if len(tensor.shape) != len(tensor.strides) or tensor.offset < 0 or min(spans + [0]) < 0:
        raise ValueError("tensor outside its storage")
    if min(tensor.shape + (1,)) < 1 or tensor.offset + sum(spans) >= len(values):
        raise ValueError("tensor outside its storage")
    strides = [s * values.itemsize for s in tensor.strides]
    return np.lib.stride_tricks.as_strided(values[tensor.offset:], tensor.shape, strides).copy()


def read_pth(path: str) -> Dict[str, np.ndarray]:
    """Name -> array, without the prefix "module." of a network that was trained on several GPUs."""
    content, storage = _from_zip(path) if zipfile.is_zipfile(path) else _from_legacy(path)
    arrays: Dict[str, np.ndarray] = {}
    for name, tensor in _tensors_of(content).items():
        arrays[name[7:] if name.startswith("module.") else name] = _view(tensor, storage(tensor.storage))
    return arrays


def read_pkl(path: str) -> Dict[str, np.ndarray]:
    """The arrays of a pickled dictionary."""
    content = _load(_bytes_of(path))
    return {str(name): value.values for name, value in content.items() if isinstance(value, _Array)}
