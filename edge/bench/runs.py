"""How long the stages take over one picture, again and again: each run finds the faces anew."""
from contextlib import ExitStack
from typing import Iterator, List, Tuple

from edge.app.chain import make_stages
from edge.app.ends import source_options
from edge.config.load import Config
from edge.core import clock
from edge.core.packet import Frame, Packet
from edge.sources.choose import make_source


def times_of_pictures(config: Config, runs: int) -> Iterator[Tuple[str, List[float]]]:
    """File and milliseconds of each run, for every picture of the source. Raises EdgeErrors."""
    source = make_source(source_options(config))
    groups = make_stages(config, True, lambda event, text: None).groups(config.pipeline.groups())
    stages = [stage for group in groups for stage in group]
    with ExitStack() as closing:
        for stage in stages:
            closing.callback(stage.close)
            stage.open()
        closing.callback(source.close)
        source.open()
        seq = 0
        while True:
            try:
                frame = source.read(1.0)
            except EOFError:
                return
            if frame is not None:
                times: List[float] = []
                for _ in range(runs):
                    began = clock.monotonic()
                    packet = Packet(Frame(seq, frame.captured_at, frame.time_s, frame.image, frame.file))
                    for stage in stages:
                        packet = stage.process(packet) or packet
                    times.append(1e3 * (clock.monotonic() - began))
                    seq += 1
                yield frame.file, times
