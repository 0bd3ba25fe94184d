"""What runners on the CPU have in common: one set of inputs and one of outputs in memory that live as long as the runner.

The network reads its inputs and writes its outputs where they lie, so nothing is allocated or copied for a frame.
"""
import os
import re
from abc import abstractmethod
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple, Type

import numpy as np

from edge.core import clock
from edge.core.contracts import Crop, Runner, Tensor, Ticket
from edge.core.errors import EdgeError, EngineError, ModelError
from edge.core.interface import Interface
from edge.host.analytics import load_runtime
from edge.models.warp import Warper
from edge.runtimes.cpu.pixels import PixelFeed, takes_pixels
from edge.store.models import HEIGHT, WIDTH, StoredNetwork, cure

# what a runtime's binding, or numpy, may raise of a file that is not ours
OF_FOREIGN = (RuntimeError, ValueError, TypeError, ArithmeticError, MemoryError, OSError)


OpenTensor = Tuple[str, Sequence[Optional[int]], bool]


class Finished(Ticket):
    """The answer of a runtime that works in submit()."""

    def __init__(self, outputs: Dict[str, np.ndarray]) -> None:
        self._outputs = outputs

    def result(self) -> Dict[str, np.ndarray]:
        return self._outputs


class CpuRunner(Runner):
    """Nothing happens before open(), which loads and warms up. A runtime supplies _load, _bind, _run and _unload."""

    def __init__(self, network: StoredNetwork, size: Optional[Tuple[int, int]] = None) -> None:
        """`size`: width and height of the picture, where those of the file are open."""
        self.model = network.name
        self._size = size
        self._file = network.cpu_file
        self._arithmetic = network.pixels
        self._interface = network.interface  # of a network of the user's own, which may have other names and an open batch
        self.own = "" if network.interface is None else "{} {}".format(network.like, network.sha256)
        self._pixels: Optional[PixelFeed] = None  # where the file takes pixel values
        self._warper = Warper()
        self._feeds: Optional[Dict[str, np.ndarray]] = None  # the network's inputs; None: not open
        self._results: Dict[str, np.ndarray] = {}  # the network's outputs
        self._failures: Tuple[Type[Exception], ...] = (RuntimeError,) if network.interface is None else OF_FOREIGN

    def open(self) -> None:
        """Load, allocate and run once. May be called again after close()."""
        self.close()
        try:
            if not os.path.isfile(self._file):
                raise ModelError("the file of network {} is missing ({}): {}".format(self.model, self._file, cure()))
            self.inputs, self.outputs = self._load()
            names = {} if self._interface is None else self._interface.names_in(self.outputs, self.model)
            self._feeds, self._results = zeros(self.inputs), zeros(self.outputs)
            self._bind(self._feeds, self._results)
            self._take_pixels(self._feeds)
            self._rename(names)
            self._run()
        except EdgeError:
            self.close()
            raise
        except self._failures as e:
            self.close()
            raise ModelError("{} cannot run {} ({}): {}".format(
                self.backend, self._file, reason(e), self._cure())) from e
        self.run_s = 0.0

    def submit(self, image: np.ndarray, crops: Sequence[Crop]) -> Ticket:
        feeds = opened(self, self._feeds)
        check_crops(self, crops)
        if self._pixels is not None:
            self._pixels.fill(self._warper, image, crops)
        else:
            for crop, part in zip(crops, feeds[self.inputs[0].name]):
                self._warper.fill(image, crop, part)
        return Finished(self._timed_run())

    def infer(self, feeds: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
        own = opened(self, self._feeds)
        check_feeds(self, feeds)
        for name, values in feeds.items():
            if self._pixels is not None:
                self._pixels.put(values)
            else:
                np.copyto(own[name], values)
        return self._timed_run()

    def close(self) -> None:
        self._unload()
        self._feeds, self._results, self._pixels = None, {}, None

    def _take_pixels(self, feeds: Mapping[str, np.ndarray]) -> None:
        """Where the file takes pixel values, its input is still announced, and fed by infer(), as the network's own."""
        arithmetic = self._arithmetic
        if arithmetic is None or sees_pictures(self.inputs):  # the plain file may stand in for the CPU's
            return
        if not takes_pixels(self.inputs, arithmetic):
            raise ModelError("{} does not take the pixels that the index says: {}".format(self._file, rebuild()))
        (name, values), = feeds.items()
        self._pixels = PixelFeed(arithmetic, values)
        self.inputs = (Tensor(name, self._pixels.shape),)

    def _rename(self, names: Mapping[str, str]) -> None:
        """Outputs as the decoder calls them; the others of the file are nobody's."""
        if names:
            self._results = {name: self._results[own] for name, own in names.items()}
            self.outputs = tuple(Tensor(name, values.shape) for name, values in self._results.items())

    def _cure(self) -> str:
        """For a file that is not what it should be."""
        return rebuild() if self._interface is None else "export it again"

    def _timed_run(self) -> Dict[str, np.ndarray]:
        began_at = clock.thread_cpu()
        self._run()
        self.run_s += clock.thread_cpu() - began_at
        return dict(self._results)

    def _open_dims(self) -> Dict[str, int]:
        """The open dimensions of the file -> what they are to be; none where it has none."""
        if self._size is None:
            return {}
        top, left, bottom, right = (0, 0, 0, 0) if self._arithmetic is None else self._arithmetic.border
        return {HEIGHT: self._size[1] + top + bottom, WIDTH: self._size[0] + left + right}

    @abstractmethod
    def _load(self) -> Tuple[Tuple[Tensor, ...], Tuple[Tensor, ...]]:
        """Load the file and set `backend`; its inputs and outputs. Raises ModelError, EngineError or _failures."""

    @abstractmethod
    def _bind(self, feeds: Mapping[str, np.ndarray], results: Mapping[str, np.ndarray]) -> None:
        """Let the network read `feeds` and write `results`, by name, all C-contiguous float32 that outlive it."""

    @abstractmethod
    def _run(self) -> None:
        """Run the network once, in the calling thread."""

    @abstractmethod
    def _unload(self) -> None:
        """Free what _load() took; may be called twice, or before it."""


def imported(package: str, cure: str) -> Any:
    """The package of a runtime. Raises EngineError where it is not installed or does not load."""
    try:
        return load_runtime(package)
    except ModuleNotFoundError as e:
        missing = package if e.name == package else "{}, which {} needs,".format(e.name, package)
        raise EngineError("{} is not installed: {}".format(missing, cure)) from e
    except (AttributeError, ImportError, OSError, RuntimeError, SystemError, ValueError) as e:  # what bindings raise
        early = re.search(r"(\S+): cannot allocate memory in static TLS block", str(e))
        if early:
            cure = ("set LD_PRELOAD={} before it starts, for the service by that line in /etc/nanoface/environment"
                    .format(early.group(1)))
        raise EngineError("{} does not load ({}): {}".format(package, reason(e), cure)) from e


def opened(runner: Runner, resource: Any) -> Any:
    """`resource` of an open runner. Raises EngineError for one that was not opened, or was closed."""
    if resource is None:
        raise EngineError("the runner of network {} is not open: call open() first".format(runner.model))
    return resource


def rebuild() -> str:
    """The cure for a network whose file is not what it should be."""
    return "delete it and " + cure()


def static_tensor(model: str, name: str, dims: Sequence[Any], is_float32: bool) -> Tensor:
    """A tensor of the network as it is described in its file. Raises ModelError unless it is static float32."""
    if not is_float32 or any(not isinstance(d, int) or d < 1 for d in dims):
        shape = ", ".join(str(d) if isinstance(d, int) and d > 0 else "?" for d in dims)
        kind = "float32" if is_float32 else "not float32"
        raise ModelError("{} of network {} is ({}) {}, not float32 of a fixed shape: {}".format(
            name, model, shape, kind, rebuild()))
    return Tensor(name, tuple(dims))


def own_tensors(model: str, interface: Interface, inputs: Sequence[OpenTensor], outputs: Sequence[OpenTensor],
                run: Callable[[Tensor], Sequence[Sequence[int]]]) -> Tuple[Tuple[Tensor, ...], Tuple[Tensor, ...]]:
    """Inputs and outputs of a network of the user's own, (name, dimensions or None, is it float32), which may leave its batch
    open. `run`: once on zeros, the shapes of the outputs. Raises ModelError.
    """
    if len(inputs) != 1:
        raise ModelError("{} has {} inputs, and {} one: {}".format(
            model, len(inputs), interface.like, ", ".join(name for name, _, _ in inputs) or "none"))
    for name, _, is_float32 in list(inputs) + list(outputs):
        if not is_float32:
            raise ModelError("{} of {} is not float32: keep inputs and outputs in float32 where it is exported".format(
                name, model))
    feed = Tensor(inputs[0][0], interface.sized(inputs[0][1], model))
    shapes: Sequence[Sequence[Optional[int]]] = [dims for _, dims, _ in outputs]
    if any(None in dims for dims in shapes):
        shapes = run(feed)
    return (feed,), tuple(static_tensor(model, name, dims, True) for (name, _, _), dims in zip(outputs, shapes))


def zeros(tensors: Sequence[Tensor]) -> Dict[str, np.ndarray]:
    """By name, float32."""
    return {t.name: np.zeros(t.shape, np.float32) for t in tensors}


def sees_pictures(inputs: Sequence[Tensor]) -> bool:
    """Whether the network has one input and that is a batch of pictures, (N, 3, H, W)."""
    return len(inputs) == 1 and len(inputs[0].shape) == 4 and inputs[0].shape[1] == 3


def check_crops(runner: Runner, crops: Sequence[Crop]) -> None:
    """Raises ModelError unless there is one crop for each picture of the batch, of the input's size."""
    if not sees_pictures(runner.inputs):
        raise ModelError("network {} takes no crops: it must have one input of shape (N, 3, H, W), it has: {}".format(
            runner.model, ", ".join("{} {}".format(t.name, t.shape) for t in runner.inputs) or "none"))
    batch, _, height, width = runner.inputs[0].shape
    if len(crops) != batch:
        raise ModelError("network {} takes {} crops at a time, not {}".format(runner.model, batch, len(crops)))
    for crop in crops:
        if crop.size != (width, height):
            raise ModelError("network {} takes crops of {}x{} pixels, not {}x{}".format(
                runner.model, width, height, *crop.size))


def check_feeds(runner: Runner, feeds: Mapping[str, np.ndarray]) -> None:
    """Raises ModelError that names the first difference from the network's inputs."""
    wanted = {t.name: t.shape for t in runner.inputs}
    if set(feeds) != set(wanted):
        raise ModelError("network {} has the inputs {}, not {}".format(
            runner.model, ", ".join(sorted(wanted)), ", ".join(sorted(feeds)) or "none"))
    for name, shape in wanted.items():
        array = feeds[name]
        if array.dtype != np.float32 or array.shape != shape:
            raise ModelError("input {} of network {} is {} float32, not {} {}".format(
                name, runner.model, shape, array.shape, array.dtype))


def reason(error: Exception) -> str:
    """The last line of a runtime's own exception: the ones before it name places in its sources."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][-200:].strip() if lines else type(error).__name__
