"""Reading what is posted: forms in either encoding, and uploads. All of it is bounded in bytes and time."""
import asyncio
import os
from typing import Any, Callable, Dict, List, Tuple
from urllib.parse import parse_qsl

from edge.discover import files
from edge.host.reading import reason

FORM_BYTES, MOST_FIELDS = 1 << 20, 200
FORM_S, STALLED_S = 10.0, 20.0  # for a whole form; for a piece of an upload or result
PIECE = 1 << 16
MULTIPART = "multipart/"
TOO_LONG = "a form has at most {} bytes and {} fields".format(FORM_BYTES, MOST_FIELDS)


class Refused(Exception):
    """A request that cannot be answered as it is: a status and one line."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def only(request: Any, method: str) -> Any:
    """Raises Refused."""
    if request.method != method:
        raise Refused(405, "{} is asked with {}".format(request.path, method))
    return request


async def body(request: Any) -> bytes:
    """Raises Refused."""
    return bytes(await _within(_read_body, request, FORM_S))


async def form(request: Any) -> Dict[str, str]:
    """The fields; the first of each name counts. Raises Refused."""
    if request.content_type.startswith(MULTIPART):
        pairs = await _within(_read_parts, request, FORM_S)
    else:
        text = (await body(request)).decode("utf-8", "replace")
        if text.count("&") >= MOST_FIELDS:
            raise Refused(413, TOO_LONG)
        pairs = parse_qsl(text, keep_blank_values=True)
    fields: Dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(name, value)
    return fields


async def _within(read: Callable[[Any], Any], request: Any, limit_s: float) -> Any:
    from aiohttp.http_exceptions import HttpProcessingError
    from aiohttp.web import RequestPayloadError

    try:
        return await asyncio.wait_for(read(request), limit_s)
    except asyncio.TimeoutError:
        raise Refused(408, "it did not end within {:g} s".format(limit_s))
    # the last two: of a form within a form
    except (HttpProcessingError, RequestPayloadError, ValueError, AttributeError, AssertionError) as e:
        raise Refused(400, "this is no form: " + reason(e)[:200])
    except OSError as e:  # of the disk; a peer that has gone reads no answer
        raise Refused(507, reason(e))


async def _read_body(request: Any) -> bytes:
    data = b""
    async for piece in request.content.iter_chunked(PIECE):
        data += piece
        if len(data) > FORM_BYTES:
            raise Refused(413, TOO_LONG)
    return data


async def _read_parts(request: Any) -> List[Tuple[str, str]]:
    found: List[Tuple[str, str]] = []
    size, parts = 0, await request.multipart()
    while True:
        part = await parts.next()
        if part is None:
            return found
        data = b""
        while not part.at_eof():
            data += await part.read_chunk(PIECE)
            if size + len(data) > FORM_BYTES or len(found) >= MOST_FIELDS:
                raise Refused(413, TOO_LONG)
        size += len(data)
        found.append((part.name or "", data.decode("utf-8", "replace")))


async def upload(request: Any, places: files.Places) -> str:
    """Store the field `file`; the name that it got. Raises Refused."""
    from aiohttp import MultipartReader

    if not request.content_type.startswith(MULTIPART):
        raise Refused(400, "the field file is missing: send it as multipart/form-data")
    parts = await _within(lambda _: request.multipart(), request, FORM_S)
    for _ in range(MOST_FIELDS):
        part = await _within(lambda _: parts.next(), request, STALLED_S)
        if part is None:
            break
        if not isinstance(part, MultipartReader) and part.name == "file" and part.filename:
            return await _store(part, request, places)
    raise Refused(400, "the field file is missing")


async def _store(part: Any, request: Any, places: files.Places) -> str:
    size = request.content_length or 0
    try:
        file, name = files.new_upload(places, part.filename, size)
    except (ValueError, OSError) as e:
        raise Refused(507, reason(e))
    whole, written = False, 0
    try:
        with file:
            while not whole:
                piece = await _within(lambda _: part.read_chunk(PIECE), request, STALLED_S)
                whole = not piece and part.at_eof()
                written += len(piece)
                if written > files.LARGEST_UPLOAD or size < written and not files.has_room(places, written):
                    raise Refused(507, "there is no room for more")
                file.write(piece)
        return name
    except OSError as e:
        whole = False
        raise Refused(507, reason(e))
    finally:
        if not whole:
            os.unlink(os.path.join(places.uploads, name))
