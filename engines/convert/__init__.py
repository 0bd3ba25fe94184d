"""Converters to ONNX that need neither torch, TensorFlow nor MXNet.

What comes out is made for TensorRT 8.2 and runs everywhere: static shapes, opset <= 13, IR <= 7, float32, one (N, C,
H, W) input called "input". Every error is a ModelError of one line. The imports are lazy: without the packages `onnx`
and `tflite` the rest of `engines` still works.
"""
import struct
import zipfile
import zlib
from contextlib import contextmanager
from importlib import import_module
from os.path import basename
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from edge.core.errors import ModelError
from edge.host.packages import install
from edge.store.models import cure

if TYPE_CHECKING:
    from onnx import ModelProto

    from engines.manifest.entries import Input

SMALLEST = 32  # pixels along a side of an input; below it the arithmetic on pixels takes microseconds

# kind -> module of this package; its convert(files, options) returns the model
KINDS = {
    "onnx": "surgery",
    "tflite": "lite_graph",
    "mxnet": "mx_graph",
    "mb05": "mb05",
    "faceboxes": "faceboxes",
    "facemesh": "facemesh",
    "attention": "attention.network",
}

# What the readers raise on bytes that are not what they expect; a flatbuffer, for one, its own package does not check.
_DAMAGE = (
    struct.error, zipfile.BadZipFile, zlib.error, EOFError, LookupError, ValueError, TypeError, AttributeError,
    ArithmeticError, RecursionError, MemoryError)


def _cure() -> str:
    return "delete it and " + cure()


@contextmanager
def _readable(files: Sequence[str]) -> Iterator[None]:
    """Turn what a reader raises on a damaged file into one clear line."""
    names = " and ".join(basename(f) for f in files)
    try:
        yield
    except ImportError as e:
        raise ModelError("converting {} needs the package {}: {}".format(
            names, e.name or e, install(e.name or "onnx"))) from e
    except OSError as e:
        raise ModelError("{} cannot be read ({}): {}".format(names, e.strerror or e, _cure())) from e
    except _DAMAGE as e:
        raise ModelError("{} is truncated or not what its name says: {}".format(names, _cure())) from e


def convert(kind: str, files: Sequence[str], options: Mapping[str, Any]) -> "ModelProto":
    """The network in `files` as ONNX; `kind` and `options` are those of its manifest entry. Raises ModelError."""
    if kind not in KINDS:
        raise ModelError("no converter is called {!r}: take one of {}".format(kind, ", ".join(sorted(KINDS))))
    with _readable(files):
        return import_module("engines.convert." + KINDS[kind]).convert(list(files), dict(options))  # type: ignore


def cpu_variant(model: "ModelProto") -> "Optional[ModelProto]":
    """The same function as a CPU runs it faster, without PRelu; None where there is no PRelu."""
    from engines.convert.attention.merged import merged
    from engines.convert.prelu import without_prelu
    return without_prelu(merged(model) or model)


def with_pixel_input(model: "ModelProto", look: "Input") -> "Optional[Tuple[ModelProto, List[int]]]":
    """The same function of pixel values 0..255 (N, H, W, 3), blue first, and the border that it wants around them: rows
    and columns at the top, left, bottom, right. None where the network's first step does not allow that, or where the
    picture is too small to gain anything.
    """
    if min(look.shape[2:]) < SMALLEST:
        return None
    from engines.convert.pixels import with_pixel_input as folded
    return folded(model, look)


def any_size(model: "ModelProto") -> "ModelProto":
    """The same function with its picture's height and width left open. Raises ModelError where it has one size alone."""
    from engines.convert.surgery import any_size as freed
    return freed(model)


def serialise(model: "ModelProto") -> bytes:
    """Identical on every run and in every supported version of Python, onnx and protobuf."""
    return model.SerializeToString(deterministic=True)


def decode_numbers(kind: str, files: Sequence[str]) -> Dict[str, Any]:
    """Numbers that came with the weights and that the decoder needs; empty for most kinds. Raises ModelError."""
    if kind != "mb05":
        return {}
    with _readable(files):
        from engines.convert.mb05 import pose_statistics
        return pose_statistics(list(files))


def canonical_face(files: Sequence[str]) -> bytes:
    """A .npy of float32 (468, 4): x y z in mm in the head frame, and the vertex's weight in a Procrustes fit (0:
    unused).
    """
    with _readable(files):
        from engines.convert.canonical import face_model
        return face_model(list(files))


def canonical_mesh(files: Sequence[str]) -> bytes:
    """A .npy that edge.store.canonical reads: the vertices, where each lies in a texture, and the triangles."""
    with _readable(files):
        from engines.convert.canonical import surface
        return surface(list(files))
