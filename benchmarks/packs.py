"""Each pack installed from a folder of published files and from damaged copies of them: loaded or refused, as a table.

``python -m benchmarks.packs [FOLDER]``; without a folder, ``../shared/models``. Files that are not there are left out,
and a pack that lacks one must not load.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from app.domain import CompareOptions
from app.engine import open_local_pipelines
from app.environment import Settings
from app.ops.stage_timer import StageTimer
from app.packs import licence
from app.packs.manifest import DownloadSource, Pack, PackageSource, PackError, PackFile
from app.packs.pull import Origin, pull
from app.packs.store import FileState, Store
from app.runtime.worker_pool import ThreadBudget
from app.scoring.similarity import cosine
from app.settings import ModelsSettings
from tests.support.images import another_shot, astronaut, cast, jpeg

_MODELS = Path(__file__).resolve().parents[1] / "models"
_SHARED = _MODELS.parents[1] / "shared" / "models"


class Row(NamedTuple):
    """What became of one weight file of a pack, or, where ``file`` is empty, of the pack."""

    pack: str
    file: str
    intact: str
    flipped: str = ""
    cut: str = ""
    changed: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=_SHARED)
    found = list(rows(parser.parse_args().folder))
    print("| pack | file | intact | a bit flipped | cut short | changed after installation |")
    print("|---|---|---|---|---|---|")
    for row in found:
        print(f"| {' | '.join(row)} |")


def rows(folder: Path) -> Iterator[Row]:
    here = {path.name: path for path in folder.rglob("*") if path.is_file()}
    for name in Store(_MODELS, _MODELS).names():
        with TemporaryDirectory() as weights:
            store = Store(_MODELS, Path(weights))
            pack = store.pack(name)
            licence.record(pack.licence, store.folder(pack))
            complaint = _install(store, pack, folder)
            for file in pack.files:
                yield _judge(store, pack, file, _sources(file, here))
            yield Row(pack.name, "", complaint or _load(store, pack))


def _install(store: Store, pack: Pack, folder: Path) -> str:
    try:
        pull(store, pack, Origin(paths=(folder,)))
    except PackError as error:
        return f"refused: {error}".replace(str(folder), "the folder")
    return ""


def _sources(file: PackFile, here: dict[str, Path]) -> list[Path]:
    """The files that ``file`` is made of, if they are all here."""
    if not isinstance(file.source, DownloadSource):
        return []
    names = [file.source.member] if file.source.member else file.source.downloads
    return [here[name] for name in names if name in here]


def _judge(store: Store, pack: Pack, file: PackFile, sources: Sequence[Path]) -> Row:
    is_ready = store.states(pack)[file.name] is FileState.READY
    if isinstance(file.source, PackageSource):
        return Row(pack.name, file.name, "made from a package", changed=_change(store, pack, file))
    if not sources:
        return Row(pack.name, file.name, "not in the folder")
    return Row(
        pack.name,
        file.name,
        "installed" if is_ready else "REFUSED",
        _offer_damaged(pack, file, sources, _flip),
        _offer_damaged(pack, file, sources, lambda content: content[: len(content) // 2]),
        _change(store, pack, file),
    )


def _flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def _offer_damaged(pack: Pack, file: PackFile, sources: Sequence[Path], damage: Callable[[bytes], bytes]) -> str:
    """Damage one source after the other, the rest intact; the answer is the same for each or says so."""
    answers = set()
    for source in sources:
        with TemporaryDirectory() as name:
            store, offered = Store(_MODELS, Path(name) / "weights"), Path(name) / "offered"
            offered.mkdir()
            for path in sources:
                shutil.copyfile(path, offered / path.name)
            (offered / source.name).write_bytes(damage(source.read_bytes()))
            _install(store, pack, offered)
            answers.add("refused" if store.states(pack)[file.name] is FileState.MISSING else "INSTALLED")
    return " and ".join(sorted(answers))


def _change(store: Store, pack: Pack, file: PackFile) -> str:
    """Flip a bit of an installed file, ask for the pack, put the file right again."""
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
    embedding_pipeline = open_local_pipelines(settings, store, pack, ThreadBudget(workers=1, intra_op=1)).embedding
    options, deadline = CompareOptions(rotate=False), StageTimer.after(60)
    one, same, other = (
        embedding_pipeline.embed(jpeg(picture), options, deadline)
        for picture in (astronaut(), another_shot(astronaut()), cast())
    )
    return f"loaded: cosine {cosine(one, same):.2f} for one person, {cosine(one, other):.2f} for two"


if __name__ == "__main__":
    main()
