"""`nanoface models export`: writes to a text stream and returns the exit code."""
import os
import re
from typing import TYPE_CHECKING, Dict, NamedTuple, Optional, Sequence, TextIO

from edge.core.errors import ConfigError
from edge.host.disk import write_whole
from edge.store.models import locate
from engines.manifest.read import read_manifest
from engines.onnxpackage import need_onnx
from engines.progress import Report, size_text

if TYPE_CHECKING:
    from onnx import ModelProto

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,99}\Z")  # of a tensor


class ExportOptions(NamedTuple):
    """`opset` None: its own. `names`: of inputs, then of outputs, in their order; none: its own."""

    opset: Optional[int] = None
    names: Sequence[str] = ()
    out: Optional[str] = None  # None: NAME.onnx in the working folder
    force: bool = False  # also over a file that is there


def run_export(home: str, name: str, options: ExportOptions, out: TextIO) -> int:
    """0. Raises ConfigError for what cannot be written so, ModelError for a network that was not fetched or where the package
    onnx is missing, and StorageError.
    """
    network = read_manifest().network(name)
    if network.is_asset:
        raise ConfigError("{} is no network: there is nothing to export".format(name))
    path = options.out or name + ".onnx"
    if os.path.isdir(path):
        raise ConfigError("{} is a folder: name a file in it".format(path))
    if os.path.lexists(path) and not options.force:
        raise ConfigError("{} is there: --force writes over it, and --out names another file".format(path))
    stored = locate(home, name)
    need_onnx("models export " + name)
    import onnx

    from engines.convert import serialise
    from engines.export.opset import in_opset
    from engines.lint.lint import read_onnx

    model = read_onnx(stored.file)
    if options.opset is not None:
        model = in_opset(model, options.opset, name)
    model = _renamed(model, options.names, name)
    onnx.checker.check_model(model)
    content = serialise(model)
    write_whole(path, content)
    look = network.input
    assert look is not None
    Report(out).line("{}: {}, opset {}, IR {}; {} -> {}; {}, value = pixel * {:.9g} + ({})".format(
        path, size_text(len(content)), model.opset_import[0].version, model.ir_version, _texts(model.graph.input),
        _texts(model.graph.output), look.colour.upper(), look.scale, ", ".join("{:.9g}".format(n) for n in look.offset)))
    return 0


def _texts(values: "Sequence[onnx.ValueInfoProto]") -> str:  # type: ignore[name-defined]  # noqa: F821
    from engines.convert.graph import dims_of

    return ", ".join("{} {}".format(value.name, tuple(dims_of(value))) for value in values)


def _renamed(model: "ModelProto", names: Sequence[str], network: str) -> "ModelProto":
    if not names:
        return model
    ends = list(model.graph.input) + list(model.graph.output)
    if len(names) != len(ends):
        raise ConfigError("--names: {} has {}, inputs first: {} names, and {} given".format(
            network, ", ".join(value.name for value in ends), len(ends), "1 is" if len(names) == 1 else
            "{} are".format(len(names))))
    strange = [name for name in names if not NAME.match(name)]
    if strange or len(set(names)) != len(names):
        raise ConfigError("--names: {!r} {}".format(*(
            (strange[0], "is no name of a tensor: letters, digits and _ . : / -, no digit first") if strange else
            (next(name for name in names if list(names).count(name) > 1), "stands there twice"))))
    new: Dict[str, str] = {value.name: name for value, name in zip(ends, names)}
    inner = {name for node in model.graph.node for name in node.output} | {t.name for t in model.graph.initializer}
    for name in sorted((inner - set(new)) & set(names)):  # one of its own tensors gives way
        new[name] = next(free for free in ("{}.{}".format(name, i) for i in range(len(inner) + 2)) if free not in inner)
    for node in model.graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]
    for value in ends + list(model.graph.initializer) + list(model.graph.value_info):
        value.name = new.get(value.name, value.name)
    return model
