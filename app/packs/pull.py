"""Pull the weight files of a pack into the store: from local files, mirrors or the published URLs.

Only one process pulls into a weights folder at a time; others wait for it. An interrupted pull leaves partial downloads
behind, which the next pull resumes, and complete weight files.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.packs import build, download, files, local_files
from app.packs.download import Downloader, ProgressCallback
from app.packs.local_files import LocalFiles
from app.packs.manifest import Download, DownloadSource, Pack, PackageSource, PackError, PackFile
from app.packs.store import Store


@dataclass(frozen=True, slots=True)
class Origin:
    """Where to take files from.

    If there are ``paths`` (files, archives, folders), only they are used. Otherwise the ``mirrors`` are tried in order,
    then, if ``uses_published_urls``, the URL of the pack record. A mirror is the URL of a folder or of a single file.
    """

    paths: tuple[Path, ...] = ()
    mirrors: tuple[str, ...] = ()
    uses_published_urls: bool = True
    attempts: int = 3

    def urls(self, file: Download) -> tuple[str, ...]:
        """Return the URLs of a download in the order of preference."""
        published = (file.url,) if self.uses_published_urls else ()
        return (*(_url_at(mirror, file.name) for mirror in self.mirrors), *published)


def _url_at(mirror: str, name: str) -> str:
    return mirror if mirror.partition("?")[0].endswith(f"/{name}") else f"{mirror.rstrip('/')}/{name}"


def pull(
    store: Store, pack: Pack, origin: Origin, progress: ProgressCallback = lambda file, size: None
) -> tuple[PackFile, ...]:
    """Obtain the missing and changed weight files and return them.

    Raise :class:`PackError` naming the files that could not be obtained; the others are kept.
    """
    if not store.outdated_files(pack):
        return ()
    local = LocalFiles(origin.paths)
    with exclusive_lock(store.downloads_folder), download.open_client() as client:
        downloader = Downloader(client, store.downloads_folder, progress, origin.attempts)
        outdated = store.outdated_files(pack)  # again: another process may have pulled in the meantime
        missing = []
        for file in outdated:
            content = _content(pack, file, origin, local, downloader)
            if content is None:
                missing.append(file)
            else:
                files.write(store.path(pack, file), content)
        if missing:
            raise PackError(missing_files_message(pack, missing, origin, local))
        for published in pack.downloads:
            downloader.part(published).unlink(missing_ok=True)
    return outdated


def _content(pack: Pack, file: PackFile, origin: Origin, local: LocalFiles, downloader: Downloader) -> bytes | None:
    """Return the content of a weight file, or None if the local files do not contain it."""
    source = file.source
    if isinstance(source, PackageSource):
        return build.build_from_package(file, source)
    if content := local.find(file.sha256, file.size):
        return content
    downloads = [pack.download(name) for name in source.downloads]
    if source.member:
        if origin.paths:
            return local.find_member(source.member, file.sha256, file.size)
        return _downloaded_member(file, source.member, downloads[0], origin, downloader)
    if origin.paths:
        contents = [content for entry in downloads if (content := local.find(entry.sha256, entry.size))]
    else:
        contents = [downloader.fetch(entry, origin.urls(entry)).read_bytes() for entry in downloads]
    return build.build(file, contents, ", ".join(source.downloads)) if len(contents) == len(downloads) else None


def _downloaded_member(file: PackFile, member: str, archive: Download, origin: Origin, downloader: Downloader) -> bytes:
    path = downloader.fetch(archive, origin.urls(archive))
    content = local_files.read_member(path, member, file.sha256, file.size)
    if content is None:
        raise PackError(f"{archive.name} does not contain {member} as recorded in the pack")
    return content


def missing_files_message(pack: Pack, missing: Sequence[PackFile], origin: Origin, local: LocalFiles) -> str:
    """Return the message about weight files that cannot be obtained from the local files."""
    paths = ", ".join(map(str, origin.paths))
    text = f"pack {pack.name}: cannot get {', '.join(file.name for file in missing)} from {paths}"
    digests = {entry.name: entry.sha256 for entry in pack.downloads} | {file.name: file.sha256 for file in pack.files}
    names = tuple(dict.fromkeys(name for file in missing for name in _usable_names(file)))
    if wrong := [name for name in names if local.has_wrong_content(name, digests[name])]:
        return f"{text}: {' and '.join(wrong)} differs from the recorded file (damaged, or another version)"
    absent = [name for name in names if not local.has_name(name)]
    return f"{text}: found no {' or '.join(absent)}"


def _usable_names(file: PackFile) -> tuple[str, ...]:
    """Return the names of the local files that a weight file can be made of."""
    return (file.name, *(file.source.downloads if isinstance(file.source, DownloadSource) else ()))


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a downloads folder; wait while another process holds it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("wb")
    except OSError as error:
        raise files.write_error(folder, error, 0) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the process ends
        yield
