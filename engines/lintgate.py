"""Whether a network may go to TensorRT at all: 8.2's parser misreads what is newer than it, without a word."""
from typing import Callable

from edge.errors import ModelError
from edge.modelstore import StoredNetwork, cure

MOST_FAULTS = 3


def lint_gate(stored: StoredNetwork, say: Callable[[str], None]) -> None:
    """Raises ModelError for a network with faults. Without the package onnx, as on the board, one line says so."""
    try:
        from engines.lint import lint, read_onnx
    except (ImportError, AttributeError) as e:  # the latter: onnx beside JetPack's numpy
        say("the networks are not linted, as the package onnx cannot be loaded here ({}); that was done where they were "
            "converted".format(" ".join(str(e).split())))
        return
    faults = lint(read_onnx(stored.file))
    if faults:
        more = "; and {} more".format(len(faults) - MOST_FAULTS) if len(faults) > MOST_FAULTS else ""
        raise ModelError("TensorRT 8.2 would refuse or misread {} ({}{}): take another network of its role with --networks, "
                         "or fetch it again: {}".format(
                             stored.file, "; ".join(faults[:MOST_FAULTS]), more, cure("--force", stored.name)))
