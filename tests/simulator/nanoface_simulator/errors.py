"""The exceptions of pycuda.driver, and its texts: `routine failed: reason` or `routine failed: reason - message`."""
import builtins
import sys

OUT_OF_MEMORY, NO_DEVICE, NOT_INITIALIZED = "out of memory", "no CUDA-capable device is detected", "initialization error"
INVALID_CONTEXT, INVALID_HANDLE, INVALID_VALUE = "invalid device context", "invalid resource handle", "invalid argument"
LAUNCH_FAILED, NOT_READY, NOT_SUPPORTED = "unspecified launch failure", "device not ready", "operation not supported"
NO_BINARY = "no kernel image is available for execution on the device"
CAPTURE_UNSUPPORTED = "operation not permitted when stream is capturing"
CAPTURE_INVALIDATED = "operation failed due to a previous error during capture"
CAPTURE_ISOLATION = "dependency created on uncaptured work in another stream"
CAPTURE_IMPLICIT = "operation would make the legacy stream depend on a capturing blocking stream"
CAPTURED_EVENT = "operation not permitted on an event last recorded in a capturing stream"
INVALID_IMAGE, NOT_FOUND, INVALID_DEVICE = "device kernel image is invalid", "named symbol not found", "invalid device ordinal"


class Error(Exception):
    """Of the CUDA driver, from the simulator."""


class MemoryError(Error, builtins.MemoryError):
    """Out of device memory, or of memory that can be page-locked."""


class LogicError(Error):
    """A call that breaks a rule."""


class LaunchError(Error):
    """A kernel failed on the device; the context cannot be used any more."""


class RuntimeError(Error):
    """No device, or nothing that runs on it."""


_KINDS = {OUT_OF_MEMORY: MemoryError, NO_DEVICE: RuntimeError, NO_BINARY: RuntimeError, NOT_READY: RuntimeError,
          LAUNCH_FAILED: LaunchError}


def failed(routine, reason, message=""):
    """The exception that pycuda raises when a routine of the driver returns that reason."""
    text = "{} failed: {}".format(routine, reason)
    return _KINDS.get(reason, LogicError)(text + " - " + message if message else text)


def cleanup_failed(routine, reason):
    """What pycuda prints where a destructor fails."""
    sys.stderr.write("PyCUDA WARNING: a clean-up operation failed (dead context maybe?)\n{} failed: {}\n".format(
        routine, reason))
