"""What the rules read: the project's own files, their syntax trees, and where in the house each one stands."""
import ast
import os
from collections import namedtuple
from functools import lru_cache

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CODE = ("edge", "engines", "calibration")
NOT_OURS = {".git", "__pycache__", "dist", "out", "onnx", "plans", "cache"}

# path: relative to the root, with forward slashes; line: 0 where it is about the whole file
Fault = namedtuple("Fault", "path line text")


class Source:
    """One Python file."""

    def __init__(self, path, text):
        self.path, self.text = path, text
        self.tree = ast.parse(text, path)

    def fault(self, node, text):
        return Fault(self.path, getattr(node, "lineno", 0), text)


def files(folders, suffixes=(".py",), root=ROOT):
    """Paths relative to the root, sorted; "." alone is the root's own files."""
    found = []
    for folder in folders:
        for place, inner, names in os.walk(os.path.join(root, folder)):
            inner[:] = [] if folder == "." else [d for d in inner if d not in NOT_OURS and not d.startswith(".venv")]
            found += [os.path.relpath(os.path.join(place, n), root).replace(os.sep, "/") for n in names]
    return sorted(path for path in found if path.endswith(tuple(suffixes)))


def read(path, root=ROOT):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        return f.read()


def sources(*folders):
    return [_source(path) for path in files(folders)]


@lru_cache(maxsize=None)
def _source(path):
    """Once for all rules: none of them changes a tree."""
    return Source(path, read(path))


def report(faults):
    """One line each, as an editor can jump to."""
    return "\n".join("{}:{}: {}".format(*fault) for fault in sorted(set(faults)))


def dotted(node):
    """`a.b.c` of a name or attribute, else an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        left = dotted(node.value)
        return left + "." + node.attr if left else node.attr
    return ""


def last_line(node):
    """The last line of a node, also where Python 3.6 does not say."""
    return max(getattr(part, "end_lineno", None) or getattr(part, "lineno", 0) for part in ast.walk(node))
