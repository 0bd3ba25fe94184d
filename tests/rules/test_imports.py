"""The rooms of the house: who may import whom, and which packages stay behind which door."""
import ast
import fnmatch
from collections import namedtuple

import pytest
from codebase import CODE, ROOT, Source, dotted, files, report, sources

BELOW = "core host"
FACE = "nanoface.py"
# a room of edge/ -> what it may import of edge besides itself; "models.spec" is one file or folder of a room
MAY_IMPORT = {
    "core": "",
    "host": "core",
    "recording": BELOW,
    "ssi": BELOW,
    "config": "outputs.spec " + BELOW,  # what an --output may say is checked as every other key is
    "store": BELOW,
    "geometry": BELOW,
    "face": "geometry " + BELOW,
    "models": "face.mesh geometry " + BELOW,
    "stages": "ssi models face geometry " + BELOW,
    "runtimes": "models.spec models.warp store " + BELOW,
    "sources": "recording " + BELOW,
    # still: a program may want the points in the head's axes; store: the canonical face's triangles, for exports
    "outputs": "recording ssi geometry face.mesh face.still store.canonical store.models " + BELOW,
    "telemetry": BELOW,
    "pipeline": "telemetry.meter " + BELOW,
    "app": "config store ssi stages models face geometry sources outputs runtimes pipeline telemetry " + BELOW,
    "doctor": "config store sources.live.v4l2 telemetry.board outputs.spec outputs.kinds " + BELOW,  # what will listen where
    "bench": "app config store models geometry stages.detect sources outputs runtimes pipeline telemetry " + BELOW,
    "discover": "outputs.live.web " + BELOW,  # its jobs are processes: nothing of the tracker is in the server's
    "service": "app config store runtimes telemetry sources.live.v4l2 " + BELOW,
    # library: what only asks where heads are turned is a program like others; rotation: its angles as others write them
    "cli": "app bench doctor discover service config store outputs telemetry library geometry.rotation " + BELOW,
    "library": "app config store sources outputs " + BELOW,
    "__main__": "cli host",
}

ABOVE_ALL = ("cli", "library")  # what a person uses, and what a program does: both may have networks fetched

# package -> files that may import it
THREADS = ("edge/host/stop.py", "edge/host/waiting.py", "edge/pipeline/*", "edge/sources/*", "edge/outputs/sender.py",
           "edge/outputs/direct.py", "edge/outputs/pictures/*", "edge/outputs/live/*", "edge/outputs/relay/*",
           "edge/stages/tracks.py", "edge/discover/*", "edge/telemetry/*", "edge/runtimes/gpu/context.py",
           "edge/library/*")  # starts none: it distinguishes its callers' threads
BEHIND = {
    # rotation.py: its decomposition of nine numbers takes a sixth of LAPACK's time, in every frame; sparse.py draws
    "cv2": ("edge/models/warp.py", "edge/geometry/camera.py", "edge/geometry/rotation.py", "edge/sources/*",
            "edge/outputs/pictures/*", "edge/outputs/exports/sparse.py", "calibration/*"),
    "tensorrt": ("edge/runtimes/gpu/*", "engines/build/*"),
    "pycuda": ("edge/runtimes/gpu/*", "engines/build/*"),
    "onnx": ("engines/*", "calibration/*"),
    "tflite": ("engines/*",),
    "PIL": ("edge/sources/pictures/*",),
    "pygame": ("edge/outputs/pictures/viewer.py",),
    "jtop": ("edge/telemetry/board/jtop.py",),
    "moderngl": ("calibration/shapes/render.py",),
    "prometheus_client": ("edge/telemetry/metrics*.py",),
    "pythonosc": ("edge/outputs/live/*",),
    "paho": ("edge/outputs/live/*",),
    "aiohttp": ("edge/outputs/live/*", "edge/discover/*"),
    "threading": THREADS,
    "multiprocessing": THREADS,
    "queue": THREADS,
    "_thread": THREADS,
    "asyncio": THREADS,
}
NEVER = {"torch", "tensorflow", "mxnet", "mediapipe", "scipy", "pytest", "hypothesis",
         "concurrent"}  # its waits follow the wall clock, see test_waits.py
LAZY = {"tensorrt", "pycuda", "jtop", "moderngl", "prometheus_client", "PIL", "pygame", "pythonosc", "paho",
        "aiohttp"}  # slow, or absent: inside a function
# these report their use to their makers, unless they are loaded with edge.host.analytics.load_runtime(), by these files
NO_TELEMETRY = ("onnxruntime", "openvino")
LOADERS = ("edge/runtimes/cpu/*", "edge/runtimes/choose.py", "engines/*", "calibration/*")
PRINTS = ("calibration/*",)  # standard output is written to

BY_TEXT = ("import_module", "__import__")
# name: whole dotted name; inside: within a function; typing_only: for the type checker alone
Import = namedtuple("Import", "node name inside typing_only")


def imports(source, modules):
    """Every import of a file, also by import_module() where the name, or how it begins, is written out; `from edge import x`
    counts as edge.x where that is a module."""
    found = []

    def visit(node, inside, typing_only):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend(Import(child, alias.name, inside, typing_only) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = absolute(source.path, child)
                for alias in child.names:
                    name = base + "." + alias.name
                    found.append(Import(child, name if name in modules else base, inside, typing_only))
            elif isinstance(child, ast.Call) and dotted(child.func).split(".")[-1] in BY_TEXT and child.args:
                found.append(Import(child, written(child.args[0]).rstrip("."), inside, typing_only))
            deeper = inside or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            checker = isinstance(child, ast.If) and dotted(child.test).endswith("TYPE_CHECKING")
            visit(child, deeper, typing_only or checker)
    visit(source.tree, False, False)
    return found


def written(node):
    """The text of a literal, or of one to which something is added; "" for anything else."""
    node = node.left if isinstance(node, ast.BinOp) else node
    text = node.value if hasattr(node, "value") else getattr(node, "s", "")  # since Python 3.8, and before
    return text if isinstance(text, str) else ""


def absolute(path, node):
    if not node.level:
        return node.module or ""
    package = path[:-3].split("/")[:-node.level]
    return ".".join(package + ([node.module] if node.module else []))


def module_of(path):
    name = path[:-3].replace("/", ".")
    return name[:-len(".__init__")] if name.endswith(".__init__") else name


def matches(path, patterns):
    return any(fnmatch.fnmatch(path, pattern) for pattern in patterns)


def check_rooms(source, modules):
    """Faults of one file of edge/, engines/ or calibration/ against MAY_IMPORT."""
    parts = module_of(source.path).split(".")
    room = parts[1] if len(parts) > 1 else ""
    faults = []
    for found in imports(source, modules):
        target = found.name.split(".")
        unasked = not (found.inside or found.typing_only)
        if source.path == FACE and target[0] in ("edge", "engines", "calibration") and unasked:
            faults.append(source.fault(found.node, "{} imports {} on load: the command begins here".format(FACE, found.name)))
        if parts[0] != "edge" or target[0] not in ("edge", "engines", "calibration", "tests"):
            if target[0] == "tests":
                faults.append(source.fault(found.node, "imports the tests"))
            elif parts[0] == "engines" and target[0] == "calibration":
                faults.append(source.fault(found.node, "engines imports calibration: freeze what it needs into a table"))
            continue
        if target[0] != "edge":
            if room not in ABOVE_ALL or target[0] == "tests":
                text = "edge imports {}: only edge.cli may, and edge.library, inside a function".format(target[0])
                faults.append(source.fault(found.node, text))
            elif not found.inside:
                faults.append(source.fault(found.node, "{} is imported on load: do it inside".format(found.name)))
        elif len(target) > 1 and target[1] != room and not reaches(room, target[1:]):
            faults.append(source.fault(found.node, "{} may not import {}; it may import: {}".format(
                "edge." + room if room else "edge", found.name, MAY_IMPORT.get(room) or "nothing of edge")))
    return faults


def reaches(room, target):
    allowed = MAY_IMPORT.get(room, "").split()
    return any(".".join(target[:n]) in allowed for n in range(1, len(target) + 1))


def check_packages(source, modules):
    """Faults against BEHIND, LAZY and NEVER."""
    faults = []
    for found in imports(source, modules):
        package = found.name.split(".")[0]
        if found.typing_only:
            continue
        if package in NEVER:
            faults.append(source.fault(found.node, "{} is never imported".format(package)))
        elif package in NO_TELEMETRY:
            faults.append(source.fault(found.node, "{} is loaded with load_runtime() alone".format(package)))
        elif package in BEHIND and not matches(source.path, BEHIND[package]):
            text = "{} may be imported only in {}".format(package, ", ".join(BEHIND[package]))
            faults.append(source.fault(found.node, text))
        elif package in LAZY and not found.inside:
            faults.append(source.fault(found.node, "{} is imported on load: do it inside a function".format(package)))
    calls = [node for node in ast.walk(source.tree) if isinstance(node, ast.Call)]
    return faults + [fault for call in calls for fault in check_loading(source, call)]


def check_loading(source, call):
    """Faults of a call that loads one of NO_TELEMETRY, where its name is written out."""
    function = dotted(call.func).split(".")[-1]
    package = written(call.args[0]).split(".")[0] if call.args else ""
    if package in NO_TELEMETRY and function == "load_runtime" and not matches(source.path, LOADERS):
        return [source.fault(call, "{} may be loaded only in {}".format(package, ", ".join(LOADERS)))]
    return []


def check_prints(source):
    return [source.fault(node, "print() outside the command line: log it, or write it in edge/cli")
            for node in ast.walk(source.tree)
            if isinstance(node, ast.Call) and dotted(node.func) == "print" and not matches(source.path, PRINTS)]


MODULES = {module_of(path) for path in files(CODE)}


def test_every_room_has_a_rule():
    parts = {module.split(".")[1] for module in MODULES if module.startswith("edge.")}
    assert parts <= set(MAY_IMPORT), "{}: say in MAY_IMPORT what {} may import".format(
        ROOT, ", ".join(sorted(parts - set(MAY_IMPORT))))


def test_a_room_imports_only_rooms_below_it():
    faults = [fault for source in sources(*CODE) for fault in check_rooms(source, MODULES)]
    assert not faults, "\n" + report(faults)


def test_packages_stay_where_they_belong():
    faults = [fault for source in sources(*CODE) for fault in check_packages(source, MODULES)]
    assert not faults, "\n" + report(faults)


def test_only_the_command_line_prints():
    faults = [fault for source in sources(*CODE) for fault in check_prints(source)]
    assert not faults, "\n" + report(faults)


def circle(may_import):
    """The rooms that reach themselves through others, and those above them."""
    rooms = {room: {target.split(".")[0] for target in allowed.split()} for room, allowed in may_import.items()}
    free = set(rooms)
    while free:
        free = {room for room, targets in rooms.items() if not targets & set(rooms)}
        rooms = {room: targets for room, targets in rooms.items() if room not in free}
    return sorted(rooms)


@pytest.mark.parametrize("may_import, expected", [
    (MAY_IMPORT, []), ({"a": "", "b": "a.x"}, []), ({"a": "", "b": "a c", "c": "b", "d": "c"}, ["b", "c", "d"]),
], ids=["ours", "none", "two rooms"])
def test_no_room_reaches_itself_through_another(may_import, expected):
    assert circle(may_import) == expected


@pytest.mark.parametrize("path, text, fault", [
    ("edge/stages/x.py", "from edge.models import spec", None),
    ("edge/stages/x.py", "from edge.runtimes.cpu.onnx import OnnxRunner", "edge.stages may not import edge.runtimes.cpu.onnx"),
    ("edge/models/x.py", "from edge.face import eyes", "edge.models may not import edge.face"),
    ("edge/geometry/x.py", "import edge.models.spec", "edge.geometry may not import edge.models.spec"),
    ("edge/geometry/x.py", "def f():\n    from edge.app.run import Stages", "edge.geometry may not import edge.app.run"),
    ("edge/geometry/x.py", "def f():\n    import_module('edge.app.run')", "edge.geometry may not import edge.app.run"),
    ("edge/outputs/x.py", "def f(name):\n    importlib.import_module('edge.sources.' + name)", "may not import edge.sources"),
    ("edge/geometry/x.py", "from .. import models", "edge.geometry may not import edge.models"),
    ("edge/geometry/x.py", "from ..core.packet import Roi", None),
    ("edge/runtimes/x.py", "from edge.models.warp import Warper", None),
    ("edge/runtimes/x.py", "from edge.models.mb05 import Mb05", "edge.runtimes may not import edge.models.mb05"),
    ("edge/pipeline/x.py", "from edge.telemetry import meter", None),
    ("edge/pipeline/x.py", "from edge.telemetry.health import x", "edge.pipeline may not import edge.telemetry.health"),
    ("edge/core/x.py", "from edge.host import disk", "edge.core may not import edge.host.disk; it may import: nothing"),
    ("edge/doctor/x.py", "from edge.sources.live import v4l2", None),
    ("edge/doctor/x.py", "from edge.sources.live import camera", "edge.doctor may not import edge.sources.live"),
    ("edge/app/run.py", "def f():\n    import engines.build.command", "only edge.cli may"),
    ("edge/cli/main.py", "def f():\n    from engines import commands", None),
    ("edge/cli/main.py", "from engines import commands", "on load"),
    ("edge/app/run.py", "from tests import conftest", "edge imports tests"),
    ("edge/library/x.py", "def f():\n    from engines.fetch import fetch", None),
    ("edge/library/x.py", "from engines.fetch import fetch", "on load"),
    ("edge/app/run.py", "from edge.library.tracker import Tracker", "edge.app may not import edge.library.tracker"),
    ("nanoface.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from edge import core", None),
    ("nanoface.py", "def f():\n    import edge.__main__", None),
    ("nanoface.py", "from edge.core import errors", "imports edge.core.errors on load"),
    ("engines/x.py", "from edge.app.run import Stages", None),
    ("engines/x.py", "import tests.conftest", "imports the tests"),
    ("engines/estimate/x.py", "def f():\n    from calibration.estimate import fit", "engines imports calibration"),
    ("edge/bench/x.py", "def f():\n    from calibration.estimate import fit", "only edge.cli may"),
    ("edge/cli/main.py", "def f():\n    from calibration.fp16 import fp16", None),
    ("calibration/x.py", "from engines.estimate.layers import Layer", None),
])
def test_an_import_against_the_rooms_is_found(path, text, fault):
    check_one(check_rooms(Source(path, text), MODULES | {"edge.telemetry.meter", "edge.models.spec"}), fault)


@pytest.mark.parametrize("path, text, fault", [
    ("edge/sources/x.py", "import cv2", None),
    ("edge/stages/x.py", "import cv2", "cv2 may be imported only in"),
    ("edge/stages/x.py", "def f():\n    from cv2 import resize", "cv2 may be imported only in"),
    ("edge/runtimes/cpu/x.py", "def f():\n    load_runtime('onnxruntime')", None),
    ("edge/runtimes/x.py", "def f():\n    import onnxruntime", "onnxruntime is loaded with load_runtime()"),
    ("edge/runtimes/x.py", "if True:\n    from openvino import Core", "openvino is loaded with"),
    ("edge/runtimes/x.py", "def f():\n    importlib.import_module('onnxruntime.capi')", "onnxruntime is loaded with"),
    ("edge/app/run.py", "def f():\n    load_runtime('onnxruntime')", "onnxruntime may be loaded only in"),
    ("edge/runtimes/gpu/x.py", "import tensorrt", "on load"),
    ("edge/store/models.py", "import onnx", "onnx may be imported only in"),
    ("engines/build/command.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tensorrt", None),
    ("edge/pipeline/x.py", "from concurrent.futures import Future", "concurrent is never imported"),
    ("edge/pipeline/x.py", "from multiprocessing import Process", None),
    ("edge/outputs/files/jsonl.py", "import threading", "threading may be imported only in"),
    ("edge/face/x.py", "import queue", "queue may be imported only in"),
    ("engines/convert/x.py", "import torch", "torch is never imported"),
])
def test_a_package_in_the_wrong_room_is_found(path, text, fault):
    check_one(check_packages(Source(path, text), MODULES), fault)


@pytest.mark.parametrize("path, text, fault", [
    ("calibration/head/x.py", "print(1)", None),
    ("edge/cli/main.py", "print(1)", "print() outside the command line"),
    ("edge/app/run.py", "def f():\n    print(1)", "print() outside the command line"),
    ("edge/app/run.py", "report.print(1)", None),
])
def test_a_print_in_the_wrong_place_is_found(path, text, fault):
    check_one(check_prints(Source(path, text)), fault)


def check_one(faults, expected):
    assert len(faults) == (expected is not None), report(faults)
    assert expected is None or expected in faults[0].text
