"""The rooms of engines/: who may import whom."""
import pytest
from codebase import Source, report, sources
from test_imports import MODULES, check_one, circle, imports, module_of

# a room of engines/ -> the rooms of engines/ that it may import; the files at the top are for all
MAY_IMPORT = {
    "manifest": "",
    "convert": "manifest",  # the file for CPUs holds the arithmetic that the manifest gives
    "lint": "convert manifest",
    "verify": "manifest",
    "fetch": "verify lint convert manifest",
    "build": "verify lint manifest",
    "estimate": "convert manifest",
    "export": "lint convert manifest",
    "report": "estimate build verify manifest",
}


def check_engines(source, modules):
    """Faults of one file against MAY_IMPORT."""
    parts = module_of(source.path).split(".")
    room = parts[1] if len(parts) > 1 and parts[1] in MAY_IMPORT else ""
    targets = [(found.node, found.name.split(".")) for found in imports(source, modules)]
    return [source.fault(node, "engines.{} may not import {}".format(room, ".".join(target)))
            for node, target in targets
            if parts[0] == target[0] == "engines" and target[1:] and target[1] in MAY_IMPORT
            and target[1] != room and target[1] not in MAY_IMPORT.get(room, "").split()]


def test_a_room_imports_only_rooms_below_it_and_none_reaches_itself():
    faults = [fault for source in sources("engines") for fault in check_engines(source, MODULES)]
    assert not faults, "\n" + report(faults)
    assert circle(MAY_IMPORT) == []


@pytest.mark.parametrize("path, text, fault", [
    ("engines/verify/x.py", "from engines.manifest.read import read_manifest", None),
    ("engines/verify/x.py", "from engines.progress import Report", None),
    ("engines/verify/x.py", "def f():\n    from engines.fetch import store", "engines.verify may not import engines.fetch"),
    ("engines/progress.py", "from engines.build import tune", "may not import engines.build"),
    ("calibration/fp16/x.py", "from engines.build import tune", None),
])
def test_an_import_against_the_rooms_of_the_build_step_is_found(path, text, fault):
    check_one(check_engines(Source(path, text), MODULES), fault)
