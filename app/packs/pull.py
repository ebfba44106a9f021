"""A pack's weight files, got from wherever they may be had, put in place.

In: a store, a pack, and an :class:`Origin`: what the operator local_files, or addresses. Out: the pack's files, each with
its recorded digest; a file that could not be had is named in a :class:`PackError`, and those that could stay. One pull
at a time works on a folder of weights; the others wait, and then find what it has done. Interrupted, it leaves parts of
downloads behind, which the next one goes on with, and nothing else.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.packs import build, download, files, local_files
from app.packs.download import Downloader, Watch
from app.packs.local_files import LocalFiles
from app.packs.manifest import Download, DownloadSource, Pack, PackageSource, PackError, PackFile
from app.packs.store import Store


@dataclass(frozen=True, slots=True)
class Origin:
    """Where files come from: ``paths`` alone if there are any; else the folders at ``bases``, then, if ``published``,
    the addresses of the record. A base may also be the address of the one file itself.
    """

    paths: tuple[Path, ...] = ()
    bases: tuple[str, ...] = ()
    published: bool = True
    tries: int = 3

    def urls(self, wanted: Download) -> tuple[str, ...]:
        own = (wanted.url,) if self.published else ()
        return (*(_within(base, wanted.name) for base in self.bases), *own)


def _within(base: str, name: str) -> str:
    return base if base.partition("?")[0].endswith(f"/{name}") else f"{base.rstrip('/')}/{name}"


def _ignore(wanted: Download, have: int) -> None:
    """Report progress to nobody."""


def pull(store: Store, pack: Pack, origin: Origin, watch: Watch = _ignore) -> tuple[PackFile, ...]:
    """Put the files that are missing or changed in place; return them."""
    if not store.outdated_files(pack):
        return ()
    offered = LocalFiles(origin.paths)
    with _alone(store.downloads), download.client() as web:
        downloader = Downloader(web, store.downloads, watch, origin.tries)
        wanted = store.outdated_files(pack)  # whoever was waited for may have got them
        missing = []
        for file in wanted:
            content = _content(pack, file, origin, offered, downloader)
            if content is None:
                missing.append(file)
            else:
                files.write(store.path(pack, file), content)
        if missing:
            raise PackError(_lament(pack, missing, origin, offered))
        for used in pack.downloads:
            downloader.part(used).unlink(missing_ok=True)
    return wanted


def _content(pack: Pack, file: PackFile, origin: Origin, offered: LocalFiles, downloader: Downloader) -> bytes | None:
    """Return what belongs into the file; None if it is not among what is offered."""
    source = file.source
    if isinstance(source, PackageSource):
        return build.from_package(file, source)
    if content := offered.whole(file.sha256, file.size):
        return content
    needed = [pack.download(name) for name in source.downloads]
    if source.member:
        found = offered.member(source.member, file.sha256, file.size)
        if found or origin.paths:
            return found
        archive = downloader.fetch(needed[0], origin.urls(needed[0]))
        if found := local_files.member(archive, source.member, file.sha256, file.size):
            return found
        raise PackError(f"{needed[0].name} does not contain the {source.member} that the pack's record asks for")
    if origin.paths:
        contents = [content for wanted in needed if (content := offered.whole(wanted.sha256, wanted.size))]
    else:
        contents = [downloader.fetch(wanted, origin.urls(wanted)).read_bytes() for wanted in needed]
    return build.make(file, contents, ", ".join(source.downloads)) if len(contents) == len(needed) else None


def _lament(pack: Pack, missing: Sequence[PackFile], origin: Origin, offered: LocalFiles) -> str:
    """Return what to tell the operator about files that were not among those offered."""
    places = ", ".join(map(str, origin.paths))
    text = f"pack {pack.name}: {', '.join(file.name for file in missing)} cannot be made from {places}"
    names = [name for file in missing for name in _names(file)]
    known = {wanted.name: wanted for wanted in pack.downloads} | {file.name: file for file in pack.files}
    if wrong := [name for name in names if offered.has_another(name, known[name].sha256)]:
        return f"{text}: {' and '.join(dict.fromkeys(wrong))} is not the recorded file (damaged, or of another version)"
    names = [name for name in names if not offered.has(name)]
    return f"{text}: it has no {' or '.join(dict.fromkeys(names))}"


def _names(file: PackFile) -> tuple[str, ...]:
    return (file.name, *(file.source.downloads if isinstance(file.source, DownloadSource) else ()))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder of downloads; wait for another process that does."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("wb")
    except OSError as error:
        raise files.refusal(folder, error, 0) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # gone with the process
        yield
