"""Whether a network may go to TensorRT at all: 8.2's parser misreads what is newer than it, without an error.

A network is linted where it is converted, as a board's environment has no package onnx. The verdict stands in the index
with the file that it is of and the rules that it was found by; a build accepts no other.
"""
import hashlib
import os
from typing import Any, Dict, FrozenSet, Mapping, Optional

from edge.core.errors import ModelError
from edge.store.models import StoredNetwork, read_index
from engines.onnxpackage import fetch_cure

LINT = "lint"  # in an entry of the index, and what it holds:
SHA256, RULES, FAULTS, NODES, GROUPED = "sha256", "rules", "faults", "nodes", "grouped"
MOST_FAULTS = 3
_RULE_FILES = ("fp16.py", "lint.py", "operators.py", "rules.py", "view.py")


def rules_version() -> str:
    """Changes with the linter's code: no number has to be counted up by hand."""
    digest, folder = hashlib.sha256(), os.path.dirname(os.path.abspath(__file__))
    for name in _RULE_FILES:
        with open(os.path.join(folder, name), "rb") as f:
            digest.update(name.encode() + b"\0" + f.read().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()[:16]


def is_linted(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of the index has a verdict on its file by this version's rules."""
    verdict = _verdict(entry, str(entry.get("sha256")))
    return verdict is not None and verdict.get(RULES) == rules_version()


def lint_gate(home: str, stored: StoredNetwork) -> None:
    """Raises ModelError for a network with faults, and for one that was not linted by this version's rules."""
    entry = read_index(home).get(stored.name, {})
    verdict = _verdict(entry, stored.sha256)
    if verdict is None or not is_linted(entry):
        raise ModelError("{} {}, and TensorRT 8.2 misreads without a word: {}".format(
            stored.name, "was linted by other rules than those of this version" if verdict else
            "was not linted, or is another file than the one that was", fetch_cure(stored.name)))
    faults = verdict[FAULTS]
    if faults:
        more = "; and {} more".format(len(faults) - MOST_FAULTS) if len(faults) > MOST_FAULTS else ""
        raise ModelError("TensorRT 8.2 would refuse or misread {} ({}{}): take another network of its role with --networks, "
                         "or fetch it again: {}".format(
                             stored.file, "; ".join(faults[:MOST_FAULTS]), more, fetch_cure("--force " + stored.name)))


def nodes_of(home: str, stored: StoredNetwork) -> FrozenSet[str]:
    """Names of the nodes of a network, as TensorRT's parser uses them. Raises ModelError where the index has none."""
    verdict = _verdict(read_index(home).get(stored.name, {}), stored.sha256)
    if verdict is None:
        raise ModelError("the index has no names of the nodes of {}, some of which stay in FP32: {}".format(
            stored.name, fetch_cure(stored.name)))
    return frozenset(verdict[NODES])


def has_groups(home: str, stored: StoredNetwork) -> bool:
    """Whether a network has grouped convolutions, depthwise ones aside."""
    verdict = _verdict(read_index(home).get(stored.name, {}), stored.sha256)
    return bool((verdict or {}).get(GROUPED))


def _verdict(entry: Mapping[str, Any], sha256: str) -> Optional[Dict[str, Any]]:
    """What an entry has on the file with this hash; None where it has nothing that can be read."""
    found = entry.get(LINT)
    lists = [found.get(FAULTS), found.get(NODES)] if isinstance(found, dict) and found.get(SHA256) == sha256 else [None]
    whole = all(isinstance(one, list) and all(isinstance(text, str) for text in one) for one in lists)
    return found if whole else None
