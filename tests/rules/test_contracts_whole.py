"""What one room asks of another's object stands in its contract with a default: nobody asks with getattr or hasattr."""
import ast

import pytest
from codebase import Source, dotted, report, sources

# attribute -> whose it is that has it only at times: none of ours
THEIRS = {
    "strerror": "an error of the system, which a ValueError beside it is not",
    "problem": "an error of PyYAML", "problem_mark": "an error of PyYAML", "reason": "an error of PyYAML",
    "tag_v2": "a picture of Pillow", "_tile_orientation": "a picture of Pillow", "is_animated": "a picture of Pillow",
    "encoding": "a stream that somebody put in the place of sys.stderr",
}
PARSED = ("args", "namespace", "action")  # argparse's own, in edge/cli: each command has other options


def foreign(source):
    """The names that a file has for modules which are not ours: what is in them differs from system to system."""
    found = [alias for node in ast.walk(source.tree) if isinstance(node, ast.Import) for alias in node.names]
    return {(alias.asname or alias.name).split(".")[0] for alias in found
            if alias.name.split(".")[0] not in ("edge", "engines", "calibration", "nanoface")}


def owner(node):
    """The name at the root of what is asked; of getattr(getattr(x, ...), ...) it is x."""
    while isinstance(node, ast.Call) and dotted(node.func) == "getattr" and node.args:
        node = node.args[0]
    return dotted(node).split(".")[0]


def check_asking(source):
    modules, faults = foreign(source), []
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call) or dotted(node.func) not in ("getattr", "hasattr") or len(node.args) < 2:
            continue
        name = getattr(node.args[1], "value", getattr(node.args[1], "s", None))  # since Python 3.8, and before
        if not isinstance(name, str) or name in THEIRS or owner(node.args[0]) in modules:
            continue
        if source.path.startswith("edge/cli/") and owner(node.args[0]) in PARSED:
            continue
        faults.append(source.fault(node, "asks whether there is .{}: give it a default in the contract".format(name)))
    return faults


def test_nothing_of_ours_is_asked_for_by_getattr():
    faults = [fault for source in sources("edge") for fault in check_asking(source)]
    assert not faults, "\n" + report(faults)


@pytest.mark.parametrize("path, text, fault", [
    ("edge/pipeline/x.py", "lost = getattr(source, 'lost_since', None)", ".lost_since"),
    ("edge/runtimes/x.py", "def f(self):\n    return float(getattr(self._chosen, 'run_s', 0.0))", ".run_s"),
    ("edge/outputs/x.py", "if hasattr(sender.output, 'fatal'):\n    pass", ".fatal"),
    ("edge/app/x.py", "from edge.outputs import kinds\nkinds = getattr(kinds, 'TABLE', ())", ".TABLE"),
    ("edge/app/x.py", "quiet = getattr(args, 'quiet', False)", ".quiet"),
    ("edge/cli/x.py", "quiet = getattr(args, 'quiet', False)", None),
    ("edge/cli/x.py", "key = getattr(getattr(action, 'option', None), 'key', '')", None),
    ("edge/host/x.py", "import os\nflag = getattr(os, 'O_NOFOLLOW', 0)", None),
    ("edge/host/x.py", "def f(error):\n    return getattr(error, 'strerror', None) or error", None),
    ("edge/app/x.py", "value = getattr(config.source, name)", None),
])
def test_asking_one_of_ours_is_found(path, text, fault):
    faults = check_asking(Source(path, text))
    assert len(faults) == (fault is not None), report(faults)
    assert fault is None or fault in faults[0].text
