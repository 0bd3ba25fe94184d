"""SSI's discrete annotation: one tier, at each moment one label at most."""
import heapq
from typing import Iterable, List, NamedTuple, Sequence, Tuple
from xml.sax.saxutils import quoteattr

# every kind of event, the number of which is its place here, and how a tier paints it
COLOURS = {"blink": "#4E79A7", "eyes_closed": "#E15759", "perclos": "#B07AA1", "yawn": "#F28E2B", "nod": "#59A14F",
           "shake": "#76B7B2", "away": "#EDC948", "distance": "#9C755F", "presence": "#BAB0AC"}


class Segment(NamedTuple):
    """Times in whole milliseconds, the resolution of DISCOVER."""

    from_ms: int
    to_ms: int
    label: int
    confidence: float

    @property
    def line(self) -> str:
        return "{:.3f};{:.3f};{};{:.2f}\n".format(self.from_ms / 1000.0, self.to_ms / 1000.0, self.label, self.confidence)


def one_at_a_time(segments: Iterable[Segment]) -> List[Segment]:
    """In order, and where some overlap the shortest: the longer ones are cut into what is left of them."""
    ordered = sorted(one for one in segments if one.to_ms > one.from_ms)
    times = sorted({time for one in ordered for time in one[:2]})
    here: List[Tuple[int, int, Segment]] = []  # those that began, the shortest first; who is over stays until it is the first
    told: List[Tuple[int, Segment]] = []
    last, at = -1, 0
    for begin, end in zip(times, times[1:]):
        while at < len(ordered) and ordered[at].from_ms <= begin:
            heapq.heappush(here, (ordered[at].to_ms - ordered[at].from_ms, at, ordered[at]))
            at += 1
        while here and here[0][2].to_ms <= begin:
            heapq.heappop(here)
        if not here:
            last = -1
            continue
        _, number, one = here[0]
        if number == last:
            told[-1] = number, told[-1][1]._replace(to_ms=end)
        else:
            told.append((number, one._replace(from_ms=begin, to_ms=end)))
        last = number
    return [one for _, one in told]


def annotation_text(names: Sequence[str], size: int, description: str, scheme: str) -> bytes:
    """The header of a tier whose labels are the places of `names`."""
    items = ['        <item id="{}" name={} color="{}" />'.format(i, quoteattr(name), COLOURS[name])
             for i, name in enumerate(names)]
    return "\n".join(['<annotation ssi-v="3">', '    <info ftype="ASCII" size="{}" />'.format(size),
                      '    <meta role="" annotator="nanoface" description={} />'.format(quoteattr(description)),
                      '    <scheme name={} type="DISCRETE">'.format(quoteattr(scheme))]
                     + items + ["    </scheme>", "</annotation>", ""]).encode("utf-8")
