"""CUDA source to a cubin or PTX with NVIDIA's runtime compiler, which needs no GPU: the wheel nvidia-cuda-nvrtc-cu12."""
import ctypes
import glob
import os
import sys
from collections import namedtuple

WHEEL = "nvidia-cuda-nvrtc-cu12"
LIBRARY = os.path.join("nvidia", "cuda_nvrtc", "lib", "libnvrtc.so.*")

Compiled = namedtuple("Compiled", "code log")  # bytes, text


class NvrtcError(Exception):
    """The compiler's own words."""


def library_path(folders=None):
    """Path of the library in site-packages, None where the wheel is absent."""
    for folder in sys.path if folders is None else folders:
        found = [p for p in sorted(glob.glob(os.path.join(folder, LIBRARY))) if "builtins" not in p]
        if found:
            return found[0]
    return None


class Nvrtc:
    """Loads the library at `path`."""

    def __init__(self, path):
        self._lib = ctypes.CDLL(path)
        self._lib.nvrtcGetErrorString.restype = ctypes.c_char_p

    def compile(self, source, arch, options=()):
        """A Compiled of `source` (text) for sm_NN: a cubin, or PTX where `arch` is compute_NN."""
        program = ctypes.c_void_p()
        self._call("nvrtcCreateProgram", ctypes.byref(program), source.encode("utf-8"), b"crop.cu", 0, None, None)
        try:
            words = [("--gpu-architecture=" + arch).encode("ascii")] + [o.encode("ascii") for o in options]
            code = self._lib.nvrtcCompileProgram(program, len(words), (ctypes.c_char_p * len(words))(*words))
            log = self._text("nvrtcGetProgramLog", program).rstrip(b"\0\n").decode("utf-8", "replace")
            if code:
                raise NvrtcError(log or self._lib.nvrtcGetErrorString(code).decode("ascii"))
            return Compiled(self._text("nvrtcGetPTX" if arch.startswith("compute") else "nvrtcGetCUBIN", program), log)
        finally:
            self._lib.nvrtcDestroyProgram(ctypes.byref(program))

    def _text(self, name, program):
        size = ctypes.c_size_t()
        self._call(name + "Size", program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        self._call(name, program, text)
        return text.raw

    def _call(self, name, *arguments):
        code = getattr(self._lib, name)(*arguments)
        if code:
            raise NvrtcError("{}: {}".format(name, self._lib.nvrtcGetErrorString(code).decode("ascii")))
