"""What is told of a network of one's own before it runs: whether a Nano would take it, too."""
import shlex
from typing import Any

from edge.core.errors import ModelError
from edge.core.roles import ROLES
from edge.host.process import is_tegra
from edge.store.own import name_of


def note_findings(config: Any, report: Any) -> None:
    """One line for each ONNX file of the Config in which the linter finds something; nothing on a board, and where the package
    onnx is missing. What cannot be read is told by what runs it.
    """
    files = [path for path in map(config.models.own, ROLES) if path.lower().endswith(".onnx")]
    if not files or is_tegra():
        return
    from engines.lint.command import lint_foreign
    from engines.onnxpackage import has_onnx

    for path in files if has_onnx() else []:
        try:
            found = lint_foreign(path)
        except ModelError:
            continue
        faults, warnings = found.of("fault"), found.of("warning")
        if faults or warnings:
            first, count = (faults or warnings)[0].line, len(faults) + len(warnings)
            more = "" if count == 1 else ", and {} more".format(count - 1)
            report("note", "{}: TensorRT 8.2 on a Nano {} ({}{}): `nanoface models lint {}`".format(
                name_of(path), "would refuse or misread it" if faults else "would take it, at a cost", first, more,
                shlex.quote(path)))
