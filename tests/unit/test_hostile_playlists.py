"""A server's playlist is looked through in little time, and does not make us open a port for each of thousands of servers."""
import time

import pytest

pytest.importorskip("cv2")

from edge.core.errors import SourceError
from edge.sources.live.tunnel import LONGEST_LIST, MOST_OTHERS, Tunnel
from edge.sources.origin import Origin, Trust

HERE = "http://127.0.0.1:9/a.m3u8"


@pytest.fixture
def tunnel():
    made = Tunnel(Origin("http", "127.0.0.1", 9), Trust(), playlists=True)
    yield made
    made.close()


@pytest.mark.parametrize("piece", [b"a", b"a.", b" ", b"\n", b'URI="', b"/", b"+-", b"a:\n"])
def test_a_megabyte_of_anything_is_looked_through_at_once(tunnel, piece):
    text = b"#EXTM3U\n" + piece * (LONGEST_LIST // len(piece))
    began_s = time.process_time()
    try:
        assert len(tunnel._rewritten(HERE, text)) > 0
    except SourceError as e:
        assert len(str(e)) < 500
    assert time.process_time() - began_s < 10.0


def test_a_playlist_names_a_few_other_servers_and_no_more(tunnel):
    def naming(count):
        return b"#EXTM3U\n" + b"".join(b"http://host%d/a.ts\n" % n for n in range(count))
    assert tunnel._rewritten(HERE, naming(MOST_OTHERS)).count(b"http://127.0.0.1:") == MOST_OTHERS
    with pytest.raises(SourceError) as e:
        tunnel._rewritten(HERE, naming(MOST_OTHERS + 1))
    assert "other servers" in str(e.value)
