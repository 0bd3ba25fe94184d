"""Loads the runtimes with their telemetry switched off: by default each reports its use to its makers.

`import openvino` (2026.4) looks up an analytics host and writes ~/intel/. `import onnxruntime` (1.32) writes a device id and a
database below ~/.cache/Microsoft and .ses in the folder for temporary files, and looks up its own host some seconds later; its
disable_telemetry_events() stops none of that. Neither does so where CI is set.
"""
import os
import sys
from importlib import import_module
from typing import Any


def switch_off_analytics() -> None:
    """Whatever the user has set. The variable holds for our children too; OpenVINO has none, so each process needs this."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read while onnxruntime is loaded
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore # its import fails, and OpenVINO goes on without


def load_runtime(module: str) -> Any:
    """import_module() of a runtime, or of what is in it: onnxruntime and openvino are loaded in no other way."""
    switch_off_analytics()
    return import_module(module)
