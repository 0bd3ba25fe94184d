"""Tells films and streams from lists of other addresses by their first bytes: FFmpeg would open those unasked."""
import re
from typing import List

from edge.core.errors import SourceError

HEAD_BYTES = 4096
NAMES = (".m3u8", ".m3u", ".mpd", ".ffconcat", ".sdp", ".pls", ".asx", ".ism", ".idx")  # the user wants a list
LIST_SIGN = re.compile(rb"^\s*(?:#EXTM3U|#EXTINF|ffconcat|\[playlist\]|<asx|# VobSub index|v=0\s|MLVI)|"
                      rb"^[acmo]=\S* ?IN IP|<MPD|<(?:SmoothStreamingMedia|CompositionPlaylist|AssetMap|smil)",
                      re.IGNORECASE | re.MULTILINE)
LATER = re.compile(rb"IN IP|<MPD|<(?:SmoothStreamingMedia|CompositionPlaylist|AssetMap|smil)", re.IGNORECASE)
LATER_BYTES = 6 << 20  # a little more than FFmpeg looks at to find out what something is
TAGGED = 10  # bytes of an ID3 tag's header; FFmpeg looks behind the tag
FILMS: List[bytes] = [  # how they begin: ISO media, Matroska, AVI, JPEG, ASF, two transport streams, MPEG and H.26x, ...
    rb"....(?:ftyp|styp|moov|moof|mdat|wide|free|skip|sidx|pnot)", rb"\x1aE\xdf\xa3", rb"RIFF....AVI", rb"\xff\xd8\xff",
    rb"0&\xb2u", rb"G.{187}G", rb".{4}G.{191}G", rb"\0\0\0?\x01", rb"FLV", rb"OggS", rb"GIF8", rb"\x89PNG", rb"DKIF",
    rb"\.RMF", rb"nut/", rb"YUV4MPEG2 ", rb"\x06\x0e\+4",
]
FILM = re.compile(b"|".join(FILMS), re.DOTALL)
PARTS = "multipart/x-mixed-replace"  # by which FFmpeg knows them, whatever they hold
MULTIPART = re.compile(rb"\s*--[^\r\n]*\r?\n(?:[\w-]+:[^\r\n]*\r?\n)*?content-type:\s*image/", re.IGNORECASE)


def is_playlist(head: bytes) -> bool:
    """Whether the beginning of a file or an answer names other files or addresses."""
    if head[:3] == b"ID3" and len(head) > TAGGED:
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        head = head[TAGGED + size:] or b"#EXTM3U"  # a tag longer than the head counts as a list
    return LIST_SIGN.search(head.replace(b"\0", b" ")) is not None and FILM.match(head) is None


def is_film(head: bytes, kind: str) -> bool:
    """Whether an answer of this Content-Type is pictures and nothing that FFmpeg could take for a list of addresses."""
    if kind.lower().partition(";")[0] == PARTS or MULTIPART.match(head):
        return head.lstrip()[:2] == b"--" and LIST_SIGN.search(head) is None
    return FILM.match(head) is not None and b"IN IP" not in head


class Rest:
    """What follows the checked head: FFmpeg also looks for lists in the text before the first NUL."""

    def __init__(self) -> None:
        self._left, self._tail = LATER_BYTES, b""

    def is_list(self, data: bytes) -> bool:
        """Of the next piece."""
        if self._left <= 0:
            return False
        text, nul, _ = (self._tail + data).partition(b"\0")
        self._left, self._tail = 0 if nul else self._left - len(data), text[-32:]
        return LATER.search(text) is not None


def names_one(path: str) -> bool:
    return path.lower().endswith(NAMES)


def check_file(path: str, head: bytes) -> None:
    """Raises SourceError for a playlist that is named like a film."""
    if is_playlist(head) and not names_one(path):
        raise SourceError("{} is no film but a list of other files or addresses: name it as what it is (.m3u8, .ffconcat) to "
                          "have those opened".format(path))
