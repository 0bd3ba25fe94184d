"""The process that builds one plan: `python -m engines.build.child REQUEST.json`, started by engines/build/parent.py.

A build takes more memory than anything else here, and a network that TensorRT cannot digest may take the process with it;
so each has a process of its own, the first that the system ends when memory runs out. Events are sent as lines of
JSON on what was standard output. What the libraries print goes to standard error.
"""
import importlib
import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any, Callable, Dict, List, Mapping, Optional

import numpy as np

from edge.core import clock
from edge.core.errors import EdgeError, EngineError, ModelError
from edge.core.figures import median, percentile
from edge.host import commands
from edge.host.disk import StorageError, write_whole
from edge.host.process import follow_parent
from edge.host.reading import bytes_of
from edge.runtimes.gpu.context import PRIMARY
from edge.store.models import StoredNetwork, locate
from edge.store.plans import SCHEMA, StoredPlan
from engines.build import boardfacts, builder
from engines.lint.gate import nodes_of

WARM_UPS = 10
TURNS = 4  # of the ways to launch a network that are compared
MOST_SLOWER = 1.1  # what a graph may take of the time that plain launches take
LONGEST_MESSAGE = 1000  # characters; a pipe takes 4096 bytes in one piece
OOM_SCORE = "700"  # of 1000: ended before the command that started us and before what else runs
FACTS, BUILD = "facts", "build"
NOTE, STEP, LOG, DONE, FAILED = "note", "step", "log", "done", "failed"

Send = Callable[..., None]


def main(argv: List[str]) -> int:
    """0 when the result was sent, well or not."""
    send = _sender()
    with open(argv[1], encoding="utf-8") as f:
        request = json.load(f)
    _die_with(int(request["parent"]))
    try:
        if request["action"] == FACTS:
            found = boardfacts.facts(request["root"])
            send(DONE, facts=list(found))
        else:
            send(DONE, sidecar=_build(request, send))
    except StorageError as e:
        send(FAILED, text=str(e), storage=True)
    except EdgeError as e:
        send(FAILED, text=str(e), storage=False)
    except MemoryError:
        send(FAILED, text="there is no memory left: " + builder.memory_cure(), storage=False)
    return 0


def _sender() -> Send:
    """Takes over standard output, so that no library can write between the lines."""
    own = os.dup(1)
    os.dup2(2, 1)

    def send(event: str, **values: Any) -> None:
        line = (json.dumps(dict(values, event=event)) + "\n").encode("ascii")
        try:
            os.write(own, line)  # in one piece: TensorRT's threads send as well
        except OSError:
            pass  # the command has ended, and ends this process

    return send


def _die_with(parent: int) -> None:
    """The out-of-memory killer looks here first."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as f:
        f.write(OOM_SCORE)
    follow_parent(parent, signal.SIGKILL)


def _build(request: Mapping[str, Any], send: Send) -> Dict[str, Any]:
    """Build, load, compare, measure; the sidecar. The plan lies where the request wants it."""
    stored = locate(request["home"], request["network"])._replace(role=request["role"])
    _load_opencv()
    facts = boardfacts.facts(request["root"])
    began_at = clock.monotonic()
    send(STEP, text="building")
    built = _plan(request, stored, send)
    build_s = clock.monotonic() - began_at
    sha256 = write_whole(request["plan"], built.plan)
    flags = dict(request["flags"], constraints=built.constraints)
    sidecar = dict(
        schema=SCHEMA, role=stored.role, network=stored.name, sha256=sha256, size=len(built.plan),
        onnx_sha256=stored.sha256, precision=request["precision"], flags=flags, build_s=round(build_s, 1),
        built_at=request["built_at"], inputs=built.inputs, outputs=built.outputs, **facts._asdict())
    sidecar.update(_tried(request, stored, StoredPlan(stored.role, stored.name, request["plan"], sidecar), send))
    return sidecar


def _load_opencv() -> None:
    """Before TensorRT: on the board the C library has little room for libraries with thread-local data, and OpenCV's
    must have it first ("cannot allocate memory in static TLS block").
    """
    try:
        importlib.import_module("edge.models.warp")
    except ImportError:
        pass  # reported where it is needed


def _plan(request: Mapping[str, Any], stored: StoredNetwork, send: Send) -> builder.Built:
    """Build in the primary context, which the runner will use as well, and keep the timing cache for the next build."""
    trt, flags = boardfacts.tensorrt(), request["flags"]
    messages = builder.LoggedMessages(lambda severity, text: send(LOG, severity=severity, text=text[:LONGEST_MESSAGE]))
    spec = builder.BuildSpec(
        stored.name, stored.file, request["precision"] == "fp16", flags["workspace_mb"], tuple(flags["tactic_sources"]),
        tuple(flags["fp32_layers"]), flags["min_timing_iterations"], flags["avg_timing_iterations"],
        nodes_of(request["home"], stored) if flags["fp32_layers"] else frozenset(), bool(flags.get("dense")))
    PRIMARY.enter()
    try:
        built = builder.build(trt, builder.logger_to(trt, messages), messages, spec, bytes_of(request["timing_cache"]),
                              lambda text: send(NOTE, text=text))
    except EdgeError as e:
        raise e.with_traceback(None) from None  # its frames hold the builder, which must go before the context
    finally:
        PRIMARY.leave()
    if built.timing_cache:
        try:
            write_whole(request["renewed_timing_cache"], built.timing_cache)
        except StorageError as e:
            send(NOTE, text="the timing cache is not kept: {}".format(e))
    return built


def _tried(request: Mapping[str, Any], stored: StoredNetwork, plan: StoredPlan,
           send: Send) -> Dict[str, Any]:
    """What the sidecar says of it: verified (None without references), measured, and graphs, whether a CUDA graph of it is
    faster (None: none could be made). Raises EngineError for a plan that cannot be used.
    """
    from edge.runtimes.gpu.runner import TensorRtRunner

    send(STEP, text="loading")
    runner = TensorRtRunner(stored, plan, crops="cpu")  # the plan alone is judged, whatever the kernel does
    try:
        try:
            runner.open()
        except EdgeError as e:
            raise EngineError("the plan of {} was built, but cannot be loaded: {}".format(stored.name, e)) from e
        send(STEP, text="comparing")
        verified = _verified(request["home"], runner, stored, send)
        send(STEP, text="measuring")
        return dict(times_of_ways(runner, int(request["runs"])), verified=verified)
    finally:
        runner.close()


def _verified(home: str, runner: Any, stored: StoredNetwork, send: Send) -> Optional[Dict[str, Any]]:
    from engines.verify import references
    from engines.verify.verify import CROPPED, fault_of, recorded, verify_runner

    references.keep_current(home, stored.name)
    try:
        references.cases(home, stored.name)
    except ModelError as e:
        send(NOTE, text="{}: not compared with ONNX Runtime, {}".format(stored.name, e))
        return None
    # the crops are the CPU's here: whether submit() agrees with infer() does not depend on the plan
    found = [d for d in verify_runner(runner, stored, home) if not d.quantity.startswith(CROPPED)]
    fault = fault_of(found)
    if fault:
        raise EngineError("the plan of {} disagrees with ONNX Runtime and is not kept ({}): `{}` finds the layers "
                          "to keep in FP32, or build it with --fp32".format(
                              stored.name, fault, commands.command("calibrate fp16 --write")))
    return recorded(found)


def times_of_ways(runner: Any, runs: int) -> Dict[str, Any]:
    """Of `runs` runs call by call, and of as many by the CUDA graph where there is one, in turns, as the clocks move.

    measured: the times of the better way, device_ms and host_ms; graphs: whether that is the graph, which spares the
    processor and so may be a little slower, None where there is none; measured_otherwise: those of the other way.
    """
    ways: Dict[bool, Dict[str, List[float]]] = {}
    for _ in range(TURNS):
        for graph in (False, True):
            if runner.use_graph(graph) or not graph:
                _measure(runner, -(-runs // TURNS), ways.setdefault(graph, {"device_ms": [], "host_ms": []}))
    shares = {graph: {key: _shares(values) for key, values in times.items()} for graph, times in ways.items()}
    if True not in ways:
        return {"measured": shares[False], "graphs": None}
    faster = min(ways[True]["host_ms"]) <= MOST_SLOWER * min(ways[False]["host_ms"])  # the quickest: nothing else came between
    return {"measured": shares[faster], "graphs": faster, "measured_otherwise": shares[not faster]}


def _measure(runner: Any, runs: int, into: Dict[str, List[float]]) -> None:
    """Of runs on black pictures, which take as long as others: the whole by our clock, the GPU's part by its own."""
    feeds = {tensor.name: np.zeros(tensor.shape, np.float32) for tensor in runner.inputs}
    for _ in range(0 if into["host_ms"] else WARM_UPS):  # the clocks rise, and the libraries load what they need
        runner.infer(feeds)
    runner.take_device_ms()
    for _ in range(runs):
        began_at = clock.monotonic()
        runner.infer(feeds)
        into["host_ms"].append(1000.0 * (clock.monotonic() - began_at))
    into["device_ms"] += runner.take_device_ms()


def _shares(values_ms: List[float]) -> Optional[Dict[str, float]]:
    if not values_ms:
        return None
    return {"p50": round(median(values_ms), 3), "p95": round(percentile(values_ms, 95.0), 3)}


if __name__ == "__main__":
    sys.exit(main(sys.argv))
