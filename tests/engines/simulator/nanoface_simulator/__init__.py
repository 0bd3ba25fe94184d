"""A SIMULATOR of TensorRT 8.2.1 and pycuda on a Jetson Nano, for tests on a machine without a GPU.

The folder above, put in front of PYTHONPATH, makes `tensorrt` and `pycuda.driver` importable; this package is what both
stand on. It computes real numbers with ONNX Runtime, and breaks where the real ones break: `report()` tells which rules the
process broke and what it left behind.

What is documented (by the project's reference for the board, and by the sources of pycuda and of the bindings that it names)
  * the names of both packages: what 8.2.1 does not have is not here, what is read-only is not written
  * what answers None and False, the parser's errors, and the log texts of tensorrt/_texts.py that are marked so
  * contexts: a stack of them in every thread, retain_primary_context() that makes nothing current, the process that aborts
    where a thread or the interpreter ends with one on its stack, objects that leak where they are freed without theirs
  * streams and events, page-locked and mapped memory, register_host_memory() that fails on this GPU
  * where the interpreter lock is held; that a raising log() or report_layer_time() ends the process
  * the operators and the restrictions of the ONNX parser that are in restrictions.py; that it reduces over all axes from
    opset 18 on; that parse() logs none of its errors, parse_from_file() all

What is guessed
  * a plan whose bytes were altered: None here; nobody says what TensorRT does
  * the log texts that are not documented; that refused enqueues answer False rather than fail later
  * FP16: every layer computes in FP16 where it may (the real builder takes what is faster), on weights and tensors rounded
    to float16, with sums in float32 and one rounding for each layer; a layer that is pinned to FP32 keeps its output in
    float32 only where its output type is set too; without OBEY or PREFER a pinned layer is rounded like any other
  * the device does one thing at a time, so the modelled times of two streams add up; copies take none
  * a mapped address is never the host's address; a first query() of unmodelled work says that it is running
  * the amounts of memory; the name of an engine is the graph's

Stricter than the real ones, each a violation in the report
  * a second context (make_context), TensorRT or pycuda without a current context, engines destroyed without one
  * streams, buffers and execution contexts that go while work is in flight on them
  * an execution context on two streams or in two threads at a time; a builder in two threads
  * two streams on the same bytes, one of them writing, without an event between them
  * page-locked memory that is written to while queued work is to read it

Environment (each read when it is needed; NAME stands for an engine, see onnxnames.py, "*" for all)
  NANOFACE_SIM_REPORT=PATH     write report() there when the interpreter ends; a folder gets one file for each process
  NANOFACE_SIM_GPU, _CC, _TENSORRT, _MEMORY_MB      another board: "NVIDIA Tegra X1", 5.3, 8.2.1.8, 3964
  NANOFACE_SIM_BUILD_S, _LOAD_S                     seconds of a build, and of loading a plan, without the lock
  NANOFACE_SIM_HELD_MS={"first": 40, "runtime": 2, "builder": 2, "context": 20, "serialize": 5, "supports_model": 5}
                               milliseconds with the lock held; "first" for the first of them, which starts CUDA
  NANOFACE_SIM_DEVICE_MS={NAME: 2.5}                modelled time of an execution, or of a kernel by its name
  NANOFACE_SIM_ENQUEUE_MS={NAME: 0.4}               processor time of enqueuing one, without the lock
  NANOFACE_SIM_ANSWERS=FOLDER  <NAME>.npz, by output: what engines answer instead of computing
  NANOFACE_SIM_KERNELS=FILE    Python twins of the CUDA kernels, see modules.py
  NANOFACE_SIM_ONNX=FOLDER     a store of networks to name engines after
  NANOFACE_SIM_FAULTS={...}    what is to go wrong; where [NAME] stands true is for all, and a number is one for all
    "tensorrt_missing": true, "pycuda_missing": true    ImportError for a library that is not there
    "no_device": true                                   cuInit finds none, Builder() and Runtime() are not made
    "primary_context": true                             it cannot be retained: out of memory
    "parse": [NAME], "build_none": [NAME], "build_kill": [NAME], "deserialize_none": [NAME], "context_none": [NAME]
    "execute_false_from": 3 or {NAME: 3}                the third execution of the process and all later ones answer False
    "launch_error_from": 3                              the third launch fails, which shows where it is waited for
    "memory_bytes": 1000000                             no more than that can be allocated
"""
from .ledger import ledger


def report():
    """Plain data: violations, counts, what is alive, contexts not popped, and "clean", which is the verdict."""
    return ledger.report()


def reset():
    """For the next test in one process: no violations, no counts, no failed device. What is alive stays so."""
    from .contexts import driver

    ledger.clear()
    driver.reset()
