"""TensorRT 8.2 on the board's GPU: runs the plan that `nanoface build` made of a network.

submit() enqueues on the thread's stream and result() waits for it: the host works on meanwhile. With the crop kernel the
frame lies on the device and the input never leaves it; without it the CPU makes the crop. The kernels of a network, hundreds
on a Nano, are launched by one call where a CUDA graph of them can be made.
"""
from collections import deque
from typing import Any, Deque, Dict, List, Mapping, Optional, Sequence

import numpy as np

from edge.core import clock
from edge.core.contracts import BGR, Crop, Runner, Ticket
from edge.core.errors import ConfigError, EdgeError, EngineError
from edge.models.warp import Warper
from edge.runtimes.cpu.runner import check_crops, check_feeds, opened, sees_pictures, zeros
from edge.runtimes.gpu import context, graph
from edge.runtimes.gpu import crop as crop_kernel
from edge.runtimes.gpu.plan import CURE, PACKAGE, package  # noqa: F401  (choose.py asks each runtime for both)
from edge.runtimes.gpu.session import KINDS, PINNED, DeviceSession
from edge.store.models import StoredNetwork, home_dir
from edge.store.plans import Board, StoredPlan, check, cure, find

AUTO, CPU = "auto", "cpu"  # where the crops are made: by the kernel where it was built, or on the CPU
CROPS = (AUTO, CPU)
GRAPHS = (AUTO, "off")  # whether kernels are launched by a CUDA graph: unless the build found that slower, or never
WARM_UP = 3  # runs; the first ones load libraries and raise the clocks
WARM_UP_GRAPH = 2  # the first of which brings a graph to the device
SAME = 0.01  # of the largest value: how far an output may be off that a graph gives; its kernels are the same
TIMES_KEPT = 1024  # device times that were not taken yet


class TensorRtRunner(Runner):
    """Nothing happens before open(), which loads and warms up. The CUDA context and the stream are the thread's."""

    def __init__(self, network: StoredNetwork, plan: Optional[StoredPlan] = None, memory: str = PINNED,
                 crops: str = AUTO, graphs: str = AUTO) -> None:
        """`plan`: None for the one that was built of the network. `memory`: pinned or mapped. Raises ConfigError."""
        for name, value, known in (("models.memory", memory, KINDS), ("models.crops", crops, CROPS),
                                   ("models.graphs", graphs, GRAPHS)):
            if value not in known:
                raise ConfigError("{} must be {}, not {}".format(name, " or ".join(known), value))
        self.model = network.name
        self._network, self._plan, self._memory, self._crops, self._graphs = network, plan, memory, crops, graphs
        self._device_ms: Deque[float] = deque(maxlen=TIMES_KEPT)
        self._warper = Warper()
        self._session: Optional[DeviceSession] = None  # None: not open
        self._feeds: Dict[str, np.ndarray] = {}  # the input as the CPU makes it
        self._results: Dict[str, np.ndarray] = {}  # the outputs as they are handed out
        self._pending: Optional[_Submitted] = None  # whose result was not asked for yet

    def open(self) -> None:
        """Check the plan, load it, allocate and warm up. May be called again after close()."""
        self.close()
        trt, driver, plan, gpu = package(), context.driver(), self._plan or self._built(), context.gpu()
        check(plan, self._network.sha256, Board(str(trt.__version__), gpu.name, gpu.compute_capability))
        self._session = DeviceSession(plan)
        try:
            with context.PRIMARY.opening:
                self._load(self._session, gpu, plan)
        except driver.Error as e:
            failure = context.failure(driver, e, "opening network {}".format(self.model))
            self.close()
            raise failure from e
        except EdgeError:
            self.close()
            raise
        self.backend = "tensorrt {} {}".format(".".join(str(trt.__version__).split(".")[:2]), plan.precision)

    def submit(self, image: np.ndarray, crops: Sequence[Crop]) -> Ticket:
        session: DeviceSession = opened(self, self._session)
        check_crops(self, crops)
        self._settle()
        try:
            if session.kernel is None:
                for crop, part in zip(crops, self._feeds[self.inputs[0].name]):
                    self._warper.fill(image, crop, part)
                return self._started(clock.thread_cpu(), session.start, self._feeds)
            return self._started(clock.thread_cpu(), session.start_crops, image, crops)
        except session.thread.cuda.Error as e:
            raise self._failure(session, e) from e

    def infer(self, feeds: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
        session: DeviceSession = opened(self, self._session)
        check_feeds(self, feeds)
        self._settle()
        try:
            return self._started(clock.thread_cpu(), session.start, feeds).result()
        except session.thread.cuda.Error as e:
            raise self._failure(session, e) from e

    def close(self) -> None:
        """In the thread that opened it. What was submitted runs to its end; its result is lost."""
        session, self._session, self._pending = self._session, None, None
        if session is not None:
            session.close()

    def use_graph(self, use: bool) -> bool:
        """Whether there is a graph to be used or, to compare, left alone. Between a result and the next submit."""
        session: DeviceSession = opened(self, self._session)
        session.plain = not use
        return session.graph is not None

    def take_device_ms(self) -> List[float]:
        """Of every submit and infer whose result was fetched since the last call. For any thread."""
        taken: List[float] = []
        try:
            while True:
                taken.append(self._device_ms.popleft())
        except IndexError:
            return taken

    def collect(self, ticket: "_Submitted") -> Dict[str, np.ndarray]:
        """For the ticket: wait for the device, and copy what it wrote. Raises EngineError."""
        session = self._session
        if session is None or ticket is not self._pending:
            raise EngineError("the runner of network {} was closed before its result was fetched".format(self.model))
        began_at = clock.thread_cpu()
        self._pending = None
        try:
            self._device_ms.append(session.wait())
        except session.thread.cuda.Error as e:
            raise self._failure(session, e) from e
        session.copy_results(self._results)
        self.run_s += clock.thread_cpu() - began_at
        return dict(self._results)

    def _built(self) -> StoredPlan:
        role = self._network.role
        plan = find(home_dir(), role, self.model)
        if plan is None:
            raise EngineError("there is no plan of network {}: {}".format(self.model, cure(role)))
        return plan

    def _load(self, session: DeviceSession, gpu: context.Gpu, plan: StoredPlan) -> None:
        self.note = ""
        if self._crops == AUTO:
            try:
                session.kernel = crop_kernel.load(home_dir(), gpu.compute_capability)
            except EngineError as e:
                self.note = "crops on the CPU: {}".format(e)
        session.load(self._memory)
        self.inputs, self.outputs = session.plan.inputs, session.plan.outputs
        self._feeds, self._results = zeros(self.inputs), zeros(self.outputs)
        if not sees_pictures(self.inputs):
            self.note = ""  # no crops are made
        usual = [self._warm_up(number) for number in range(WARM_UP)]
        if self._graphs == AUTO and plan.sidecar.get("graphs") is not False:
            self._record(session)
        found = [self._warm_up(number) for number in range(WARM_UP_GRAPH)]
        if session.graph is not None and not all(_same(found[-1][name], usual[-2][name]) for name in usual[-2]):
            session.drop_graph("it gives other outputs")
        self._note_lost(session)
        self._device_ms.clear()
        self.run_s = 0.0

    def _record(self, session: DeviceSession) -> None:
        library = graph.driver()
        if library is None:
            return  # pycuda has found a driver: it is not CUDA's own, or older than graphs
        try:
            session.record(library)
        except (EngineError, session.thread.cuda.Error) as e:
            session.drop_graph(str(e.with_traceback(None)))

    def _note_lost(self, session: DeviceSession) -> None:
        if session.lost:
            self.note = "; ".join([self.note] * bool(self.note) + ["kernels launched one by one, no CUDA graph: {}".format(
                " ".join(session.lost.split()))])
            session.lost = ""

    def _warm_up(self, number: int) -> Dict[str, np.ndarray]:
        """One run like those that follow, on black and on a pattern in turn."""
        if not sees_pictures(self.inputs):
            return _copied(self.infer({t.name: _pattern(t.shape, number) / np.float32(255.0) for t in self.inputs}))
        batch, _, height, width = self.inputs[0].shape
        whole = Crop(np.eye(2, 3), (width, height), BGR, 1.0, (0.0, 0.0, 0.0))
        picture = _pattern((height, width, 3), number).astype(np.uint8)
        return _copied(self.submit(picture, [whole] * batch).result())

    def _settle(self) -> None:
        """The buffers are needed again: a ticket whose result was not fetched yet keeps a copy of it."""
        if self._pending is not None:
            self._pending.keep()

    def _started(self, began_at: float, start: Any, *work: Any) -> "_Submitted":
        start(*work)
        if self._session is not None and self._session.lost:
            self._note_lost(self._session)
        self._pending = _Submitted(self)
        self.run_s += clock.thread_cpu() - began_at
        return self._pending

    def _failure(self, session: DeviceSession, error: Exception) -> EngineError:
        return context.failure(session.thread.cuda, error, "running network {}".format(self.model))


def _pattern(shape: Sequence[int], number: int) -> np.ndarray:
    """float32 from 0 to 250; nothing but 0 where the number is even."""
    values = np.arange(np.prod(shape), dtype=np.float32) % 251.0 * np.float32(number % 2)
    return values.reshape(shape)


def _copied(outputs: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    return {name: values.copy() for name, values in outputs.items()}


def _same(found: np.ndarray, usual: np.ndarray) -> bool:
    finite = usual[np.isfinite(usual)]
    return bool(np.allclose(found, usual, 0.0, SAME * float(np.abs(finite).max()) if finite.size else 0.0, equal_nan=True))


class _Submitted(Ticket):
    """Work on the device. Its result is fetched once."""

    def __init__(self, runner: TensorRtRunner) -> None:
        self._runner = runner
        self._outputs: Optional[Dict[str, np.ndarray]] = None

    def result(self) -> Dict[str, np.ndarray]:
        if self._outputs is None:
            self._outputs = self._runner.collect(self)
        return self._outputs

    def keep(self) -> None:
        """Fetch the result now, into memory of its own."""
        self._outputs = _copied(self._runner.collect(self))
