"""`nanoface models lint`: writes to a text stream and returns the exit code."""
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Sequence, TextIO, Tuple

from edge.core.errors import ModelError
from edge.core.redact import one_line
from edge.host.process import CODE
from edge.store.models import cure, locate, onnx_dir, read_index
from engines.manifest.read import read_manifest
from engines.onnxpackage import need_onnx
from engines.progress import Report

if TYPE_CHECKING:
    from engines.lint.view import Finding

# onnx reads and follows a graph in compiled code, and a malformed one can kill that with the process it runs in
TRIAL = ("import sys; sys.path.insert(0, sys.argv[1]); from engines.lint import lint; "
         "lint.findings(lint.read_onnx(sys.argv[2]))")

LONGEST_S = 120.0


class Linted(NamedTuple):
    """One file, and what was found in it."""

    title: str
    role: str
    opset: int
    operators: Sequence[str]  # each once, sorted
    nodes: int
    found: "Sequence[Finding]"

    def of(self, severity: str) -> "List[Finding]":
        return [finding for finding in self.found if finding.severity == severity]


def run_lint(home: str, names: Sequence[str], out: TextIO, markdown: bool = False) -> int:
    """Lint networks by their names and ONNX files by their paths; without either, every network of the manifest that was
    fetched. 0 where there is no fault, 4 where there is one. Raises ConfigError for a name that is no network's, and
    ModelError for a network that was not fetched, a file that is no ONNX, or where the package onnx is missing.
    """
    need_onnx("models lint " + " ".join(names))
    report = Report(out)
    files = [name for name in names if _is_path(name)]
    networks, missing = _networks(home, [name for name in names if name not in files], everything=not names)
    linted = [_lint(title, role, path, True) for title, role, path in networks]
    linted += [lint_foreign(path) for path in files]
    if markdown:
        report.block(_markdown(linted))
    else:
        for one in linted:
            _show(one, report)
    if missing:
        report.line("not fetched and not looked at: {}".format(", ".join(missing)))
    return ModelError.exit_code if any(one.of("fault") for one in linted) else 0


def lint_foreign(path: str) -> Linted:
    """What kills a process of its own is not looked at here; the output of that process is ignored."""
    from engines.lint.view import FAULT, Finding

    try:
        trial = subprocess.run([sys.executable, "-c", TRIAL, CODE, path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, timeout=LONGEST_S)
    except subprocess.TimeoutExpired:
        text = "malformed, or too large: the package onnx does not follow it within {:.0f} s".format(LONGEST_S)
        return Linted(path, "", 0, (), 0, (Finding(FAULT, "", text),))
    if trial.returncode < 0:
        return Linted(path, "", 0, (), 0, (Finding(FAULT, "", "malformed: the package onnx dies of it"),))
    return _lint(path, "", path, False)


def _is_path(word: str) -> bool:
    return word.endswith(".onnx") or os.path.basename(word) != word or os.path.isfile(word)


def _networks(home: str, names: Sequence[str], everything: bool) -> Tuple[List[Tuple[str, str, str]], List[str]]:
    """(name, role, path) of each, and the names of those that were not fetched."""
    manifest, built = read_manifest(), read_index(home)
    if everything:
        wanted = [network for network in manifest.networks.values() if not network.is_asset]
    else:
        wanted = [manifest.network(name) for name in names]
    for network in wanted:
        if network.is_asset:
            raise ModelError("{} is no network: there is nothing to lint".format(network.name))
    missing = [network.name for network in wanted if network.name not in built] if everything else []
    if everything and len(missing) == len(wanted):
        raise ModelError("no network is in {}: {}".format(onnx_dir(home), cure()))
    return [(n.name, "+".join(n.roles), locate(home, n.name).file) for n in wanted if n.name not in missing], missing


def _lint(title: str, role: str, path: str, ours: bool) -> Linted:
    from engines.lint import lint  # pulls in onnx

    model = lint.read_onnx(path)
    opset = max([o.version for o in model.opset_import if o.domain in ("", "ai.onnx")] or [0])
    operators = sorted({node.op_type for node in model.graph.node})
    return Linted(title, role, opset, operators, len(model.graph.node), lint.findings(model, ours))


def _counted(count: int, what: str) -> str:
    return "{} {}{}".format(count or "no", what, "" if count == 1 else "s")


def _show(one: Linted, report: Report) -> None:
    faults, warnings = one.of("fault"), one.of("warning")
    verdict = "ok" if not faults else _counted(len(faults), "fault")
    verdict += ", " + _counted(len(warnings), "warning") if warnings else ""
    report.line("{:15}  opset {:<2}  {:>3} nodes  {}".format(os.path.basename(one.title), one.opset, one.nodes, verdict))
    for severity, found in (("fault", faults), ("warning", warnings)):
        for line in _gathered(found):
            report.line("  {:7}  {}".format(severity, line))


def _markdown(linted: Sequence[Linted]) -> str:
    lines = ["| network | role | opset | nodes | operators | faults | warnings |", "|---|---|---|---|---|---|---|"]
    for one in linted:
        cells = (os.path.basename(one.title), one.role or "-", one.opset, one.nodes, " ".join(one.operators),
                 _cell(one.of("fault")), _cell(one.of("warning")))
        lines.append("| {} |".format(" | ".join(one_line(str(cell)) for cell in cells)))
    return "\n".join(lines)


def _cell(found: "Sequence[Finding]") -> str:
    return "<br>".join(line.replace("|", "\\|") for line in _gathered(found)) or "none"


def _gathered(found: "Sequence[Finding]") -> List[str]:
    """One line for each text, with the first place and how many more there are."""
    first: "Dict[str, Finding]" = {}
    more: Dict[str, int] = {}
    for finding in found:
        more[finding.text] = more.get(finding.text, -1) + 1
        first.setdefault(finding.text, finding)
    return [finding.line if not more[text] else "{} and {} more: {}".format(finding.place, more[text], text)
            for text, finding in first.items()]
