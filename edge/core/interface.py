"""What goes into a network and what comes out, as its decoder wants it: what a network of one's own is compared with."""
import os
from typing import TYPE_CHECKING, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from edge.core.errors import ModelError

if TYPE_CHECKING:
    from edge.core.contracts import Tensor

Shape = Tuple[int, ...]
OWN_SUFFIXES = (".onnx", ".xml")  # of a network of one's own, in lower case
PLACES = (2, 3)  # coordinates of a point: numbers in a row are also read where they are written as such points


class Interface(NamedTuple):
    """Of one of our networks. A 0 in a shape: any number."""

    like: str  # its name
    input: Shape  # (N, 3, H, W)
    outputs: Mapping[str, Shape]

    @property
    def free_size(self) -> bool:
        """Whether height and width of the input are those of the file."""
        return not all(self.input)

    def sized(self, found: Sequence[Optional[int]], model: str) -> Shape:
        """The shape of an input that the file has as `found`; None there is a dimension that it leaves open: the batch may
        be. Raises ModelError.
        """
        batch = self.input[0]
        shape = tuple(batch if i == 0 and n is None else n for i, n in enumerate(found))
        fits = len(shape) == len(self.input) and all(n is not None and n == (want or n) for n, want in zip(shape, self.input))
        if fits and all(n is not None and n > 0 for n in shape):
            return shape  # type: ignore[return-value]
        cure = "fix height and width"
        if len(shape) == 4 and shape[3] == 3 and shape[1] != 3:
            cure = "put the channels first"
        elif len(shape) == len(self.input) and shape[0] not in (batch, None):
            cure = "its batch is {}".format(batch)
        raise ModelError("{} takes {}, and {} takes {}: {} where it is exported, or name another network that it is like"
                         .format(model, shape_text(found), self.like, shape_text(self.input), cure))

    def names_in(self, outputs: "Sequence[Tensor]", model: str) -> Dict[str, str]:
        """Name that the decoder wants -> that of the file: the same one, else the only one whose shape it can be.

        Raises ModelError.
        """
        left = {tensor.name: tensor.shape for tensor in outputs}
        names: Dict[str, str] = {}
        for name, shape in self.outputs.items():
            if name in left and same_values(left[name], shape):
                names[name] = name
                del left[name]
        wanted = [name for name in self.outputs if name not in names]
        while wanted:
            fitting = {name: [other for other in left if same_values(left[other], self.outputs[name])] for name in wanted}
            sure = next((name for name in wanted if len(fitting[name]) == 1), None)
            if sure is None:
                raise ModelError("{} has outputs {}; {} needs {}{}".format(
                    model, _listed((t.name, t.shape) for t in outputs), self.like, _listed(self.outputs.items()),
                    ", by these names where shapes are alike" if any(fitting.values()) else ""))
            names[sure] = fitting[sure][0]
            wanted.remove(sure)
            del left[names[sure]]
        return names


def is_file(word: str) -> bool:
    """Whether what stands in the place of a network's name means a file."""
    return word.lower().endswith(OWN_SUFFIXES) or "/" in word or os.sep in word


def same_values(found: Shape, wanted: Shape) -> bool:
    """Whether the numbers of one shape, in their order, are those of the other: ones aside, neighbours may be one dimension,
    as rows and columns of a grid are; of a row of coordinates there may be points. (4, 30, 40) is not (30, 40, 4).
    """
    a, b = [n for n in found if n != 1], [n for n in wanted if n != 1]
    for one, other in ((found, wanted), (a, b)):
        if len(one) == len(other) and all(n > 0 and n == (want or n) for n, want in zip(one, other)):
            return True
    if len(a) == len(b) or 0 in wanted or 0 in found:
        return False
    fewer, more = sorted((a, b), key=len)
    return _grouped(fewer, more) and (len(a) < len(b) or a[-1] in PLACES)


def _grouped(fewer: List[int], more: List[int]) -> bool:
    """Whether products of neighbours in `more` are `fewer`."""
    at = 0
    for size in fewer:
        product = 1
        while product < size and at < len(more):
            product *= more[at]
            at += 1
        if product != size:
            return False
    return at == len(more)


def shape_text(shape: Sequence[Optional[int]]) -> str:
    return "({})".format(", ".join(str(n) if n else "any" for n in shape))


def _listed(tensors: Iterable[Tuple[str, Shape]]) -> str:
    texts = ["{} {}".format(name, shape_text(shape)) for name, shape in tensors]
    return ", ".join(texts[:-1]) + " and " + texts[-1] if len(texts) > 1 else "".join(texts) or "none"
