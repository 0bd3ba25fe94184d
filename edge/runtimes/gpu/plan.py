"""A plan in memory: TensorRT's runtime, the engine, and the execution context of one runner.

Every None and False becomes an EngineError with TensorRT's own words and the cure.
"""
from typing import Any, List, Mapping, Sequence, Tuple

from edge.core.contracts import Tensor
from edge.core.errors import EngineError, ModelError
from edge.host import commands
from edge.runtimes.cpu.runner import rebuild, static_tensor
from edge.runtimes.gpu import trtcalls
from edge.runtimes.gpu.context import FREE_MEMORY, gpu_cure
from edge.store.plans import StoredPlan


class LoadedPlan:
    """Made, loaded, used and closed in one thread that has the CUDA context pushed."""

    def __init__(self, plan: StoredPlan) -> None:
        self.inputs: Tuple[Tensor, ...] = ()
        self.outputs: Tuple[Tensor, ...] = ()
        self._plan = plan
        self._names: Sequence[str] = ()  # of all bindings, in the engine's order
        self._runtime: Any = None
        self._engine: Any = None
        self._context: Any = None

    def load(self) -> None:
        """The plan's file was checked against its sidecar. close() is to be called also where this raises EngineError."""
        trt, plan = trtcalls.package(), self._plan
        trtcalls.forget_words(trt)
        self._runtime = trtcalls.runtime_of(trt)
        if self._runtime is None:
            raise EngineError("TensorRT does not start ({}): {}".format(trtcalls.words(trt), gpu_cure()))
        try:
            self._engine = trtcalls.engine_of(self._runtime, plan.file)
        except OSError as e:
            raise EngineError("{} cannot be read ({}): {}".format(plan.file, e.strerror or e, plan.cure)) from e
        if self._engine is None:
            raise EngineError("TensorRT does not take {} ({}): {}; if that was just done, {}".format(
                plan.file, trtcalls.words(trt), again(plan), FREE_MEMORY))
        self._context = trtcalls.context_of(self._engine)
        if self._context is None:
            raise EngineError("TensorRT cannot make network {} ready to run ({}): {}".format(
                plan.network, trtcalls.words(trt), FREE_MEMORY))
        self._describe(trt)

    def order(self, addresses: Mapping[str, int]) -> List[int]:
        """Device addresses by the name of the tensor, in the order in which enqueue() takes them."""
        return [addresses[name] for name in self._names]

    def enqueue(self, addresses: List[int], stream: int) -> None:
        """`stream`: its handle. Raises EngineError where nothing was enqueued; what fails on the device shows when the
        stream is waited for.
        """
        if not trtcalls.enqueue(self._context, addresses, stream):
            raise EngineError("TensorRT cannot run network {} ({}): {}; if that does not help, {}".format(
                self._plan.network, trtcalls.words(trtcalls.package()), FREE_MEMORY, again(self._plan)))

    def close(self) -> None:
        """May be called twice. What was made last goes first: it relies on what was there before it."""
        self._context = None
        self._engine = None
        self._runtime = None

    def _describe(self, trt: Any) -> None:
        """Raises EngineError unless all is static float32, and what the sidecar says."""
        found, plan = trtcalls.bindings(trt, self._engine), self._plan
        try:
            tensors = [static_tensor(plan.network, b.name, b.shape, b.is_float32) for b in found]
            self.inputs = tuple(t for b, t in zip(found, tensors) if b.is_input)
            self.outputs = tuple(t for b, t in zip(found, tensors) if not b.is_input)
        except ModelError as e:
            told = str(e).replace(": " + rebuild(), "")  # the network's cure, not the plan's
            raise EngineError("{} cannot be used, {}: {}".format(plan.file, told, again(plan))) from e
        for key, ours in (("inputs", self.inputs), ("outputs", self.outputs)):
            if not _same(plan.sidecar.get(key), ours):
                raise EngineError("{} has the {} {}, and not those of its sidecar: {}".format(
                    plan.file, key, ", ".join("{} {}".format(*t) for t in ours), again(plan)))
        self._names = [b.name for b in found]


def again(plan: StoredPlan) -> str:
    """The cure for a plan that is up to date by its sidecar."""
    return commands.run("build --only {} --force".format(plan.role))


def _same(said: Any, tensors: Sequence[Tensor]) -> bool:
    """Whether a sidecar, which may hold anything, says just these names and shapes, in whatever order."""
    try:
        return sorted((name, tuple(shape)) for name, shape in said) == sorted((t.name, t.shape) for t in tensors)
    except (TypeError, ValueError):
        return False
