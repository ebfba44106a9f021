"""Build the weight files of a pack, with a progress bar, and select the pack that a server starts with."""

from collections.abc import Sequence

from tqdm import tqdm

from app.packs import store
from app.packs.manifest import Pack, PackError, PackFile
from app.packs.store import Store
from app.settings import ModelsSettings
from app.tools.models import pulling


def prepare(packs: Store, pack: Pack) -> str:
    """Build the missing and changed files that come from installed packages; return a line about the result."""
    size = sum(file.size for file in packs.outdated_files(pack))
    # disable=None: no progress bar if stderr is not a terminal
    with tqdm(total=size, desc=pack.name, unit="B", unit_scale=True, leave=False, disable=None) as bar:
        built = packs.build(pack, lambda file: bar.update(file.size))
    packs.resolve(pack)
    return ready_text(pack, built)


def prepare_best(settings: ModelsSettings, budget_s: float) -> str:
    """Prepare the configured pack; if it is `auto`, first try to pull the preferred pack within ``budget_s``.

    Raise :class:`PackError` before anything is built if the settings refuse the pack as unfit.
    """
    packs, pack = Store.with_selected_pack(settings)
    if settings.is_automatic and pack.name != store.PREFERRED:
        pack = pulling.pull_preferred(packs, packs.pack(store.PREFERRED), pack, settings, budget_s)
    store.require_fit(pack, settings, pack.unfit)
    try:
        return prepare(packs, pack)
    except PackError:
        if pack.embedder.int8_file is None:
            raise
        return prepare(packs, pack.without_int8())  # the engine logs that the int8 model is missing


def ready_text(pack: Pack, built: Sequence[PackFile]) -> str:
    names, size = ", ".join(file.name for file in built), sum(file.size for file in built)
    return f"pack {pack.name} is ready" + (f": built {names} ({megabytes(size)})" if built else "")


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
