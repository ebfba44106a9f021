"""Each pack installed from a folder of published files, and from damaged copies of them: loaded or refused."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from app.domain import CompareOptions
from app.engine import open_pipelines, open_shared_resources
from app.environment import Settings
from app.ops.stage_timer import StageTimer
from app.packs.manifest import DownloadSource, Pack, PackageSource, PackError, PackFile
from app.packs.pull import Origin, pull
from app.packs.store import FileState, Store
from app.runtime.worker_pool import ThreadBudget
from app.scoring.similarity import cosine
from app.settings import ModelsSettings
from tests.support.images import another_shot, astronaut, cast, jpeg

_MODELS = Path(__file__).resolve().parents[2] / "models"


class Row(NamedTuple):
    """The result for one weight file of a pack, or for the pack itself if ``file`` is empty."""

    pack: str
    file: str
    intact: str
    flipped: str = ""
    cut: str = ""
    changed: str = ""


def rows(folder: Path) -> Iterator[Row]:
    """Yield a row per weight file and one per pack, installed from the published files in ``folder``."""
    published = {path.name: path for path in folder.rglob("*") if path.is_file()}
    for name in Store(_MODELS, _MODELS).names():
        with TemporaryDirectory() as weights:
            store = Store(_MODELS, Path(weights))
            pack = store.pack(name)
            store.accept_licence(pack)
            error = _install(store, pack, folder)
            for file in pack.files:
                yield _file_row(store, pack, file, _sources(file, published))
            yield Row(pack.name, "", error or _load(store, pack))


def _install(store: Store, pack: Pack, folder: Path) -> str:
    try:
        pull(store, pack, Origin(paths=(folder,)))
    except PackError as error:
        return f"refused: {error}".replace(str(folder), "the folder")
    return ""


def _sources(file: PackFile, published: dict[str, Path]) -> list[Path]:
    """Return the published files that ``file`` is made of, as far as they exist."""
    if not isinstance(file.source, DownloadSource):
        return []
    names = [file.source.member] if file.source.member else file.source.downloads
    return [published[name] for name in names if name in published]


def _file_row(store: Store, pack: Pack, file: PackFile, sources: Sequence[Path]) -> Row:
    is_ready = store.states(pack)[file.name] is FileState.READY
    if isinstance(file.source, PackageSource):
        return Row(pack.name, file.name, "made from a package", changed=_change(store, pack, file))
    if not sources:
        return Row(pack.name, file.name, "not in the folder")
    return Row(
        pack.name,
        file.name,
        "installed" if is_ready else "REFUSED",
        _install_damaged(pack, file, sources, _flip),
        _install_damaged(pack, file, sources, lambda content: content[: len(content) // 2]),
        _change(store, pack, file),
    )


def _flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def _install_damaged(pack: Pack, file: PackFile, sources: Sequence[Path], damage: Callable[[bytes], bytes]) -> str:
    """Return the result of an installation for each damaged source, the other sources intact."""
    results = set()
    for source in sources:
        with TemporaryDirectory() as name:
            store, folder_with_damage = Store(_MODELS, Path(name) / "weights"), Path(name) / "folder_with_damage"
            folder_with_damage.mkdir()
            for path in sources:
                shutil.copyfile(path, folder_with_damage / path.name)
            (folder_with_damage / source.name).write_bytes(damage(source.read_bytes()))
            _install(store, pack, folder_with_damage)
            results.add("refused" if store.states(pack)[file.name] is FileState.MISSING else "INSTALLED")
    return " and ".join(sorted(results))


def _change(store: Store, pack: Pack, file: PackFile) -> str:
    """Flip a bit of an installed file, resolve the pack, and restore the file."""
    path = store.path(pack, file)
    content = path.read_bytes()
    path.write_bytes(_flip(content))
    try:
        store.resolve(pack)
    except PackError as error:
        return "refused" if f"{file.name} is changed" in str(error) else f"REFUSED OTHERWISE: {error}"
    finally:
        path.write_bytes(content)
    return "LOADED"


def _load(store: Store, pack: Pack) -> str:
    settings = Settings(models=ModelsSettings(pack=pack.name))
    shared = open_shared_resources(settings, ThreadBudget(workers=1, intra_op=1))
    embedding_pipeline = open_pipelines(settings, store, pack, shared).embedding
    options, timer = CompareOptions(rotate=False), StageTimer.after(60)
    first, same, other = (
        embedding_pipeline.embed(jpeg(image), options, timer).embedding
        for image in (astronaut(), another_shot(astronaut()), cast())
    )
    return f"loaded: cosine {cosine(first, same):.2f} for one person, {cosine(first, other):.2f} for two"
