"""Pull a pack for ``compareface models``, with the question about its licence, a progress bar and a time limit."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from app.ops.process import shell_command
from app.packs.download import ProgressCallback
from app.packs.manifest import Download, Pack, PackError, PackFile
from app.packs.pull import Origin, pull
from app.packs.store import Store, require_fit
from app.settings import ModelsSettings

_LOWER_ACCURACY = "less accurate: TAR 86 % instead of 97 % at FAR 0.01 %"
"""On the development half of LFW (benchmarks/results)."""


def pull_pack(origins: Sequence[str], settings: ModelsSettings, store: Store, pack: Pack) -> Sequence[PackFile]:
    """Install the files of ``pack`` and return the new ones.

    ``origins`` are the values of ``--from``; if it is empty, the mirrors and the published URLs are used.
    """
    try:
        with _progress() as watch:
            return pull(store, pack, _origin(origins, settings), watch)
    except PackError as error:
        if origins or not pack.downloads:
            raise
        addresses = "".join(f"\n  {download.url}" for download in pack.downloads)
        raise PackError(
            f"{error}\nWithout a network, download these files elsewhere:{addresses}\n"
            f"and run {shell_command(f'models pull {pack.name} --from FOLDER')}, or set COMPAREFACE_MODELS__MIRRORS"
        ) from error


def _origin(origins: Sequence[str], settings: ModelsSettings) -> Origin:
    if not origins:
        return Origin(mirrors=settings.mirrors)
    urls = tuple(text for text in origins if text.startswith(("https://", "http://")))
    paths = tuple(Path(text) for text in origins if text not in urls)
    if urls and paths:
        raise PackError("--from takes files and folders, or addresses, but not both at once")
    return Origin(paths, urls, uses_published_urls=False)


def require_licence(store: Store, pack: Pack, *, is_accepted: bool) -> None:
    """Record that the operator accepts the pack's licence, if it needs acceptance; else raise :class:`PackError`.

    Unless ``is_accepted``, ask the operator on the terminal.
    """
    if store.is_licence_accepted(pack):
        return
    if not is_accepted:
        _ask_for_acceptance(pack)
    store.accept_licence(pack)


def _ask_for_acceptance(pack: Pack) -> None:
    terms = pack.licence
    text = f"the models of pack {pack.name} are under {terms.name}: {terms.terms} ({terms.url})"
    if not sys.stdin.isatty():
        raise PackError(f"{text}; to accept the licence: {shell_command(f'models pull {pack.name} --accept-license')}")
    tqdm.write(text, file=sys.stderr)
    if input("Do you accept this licence? [yes/no] ").strip().lower() not in {"y", "yes"}:
        raise PackError(f"pack {pack.name} was not pulled: its licence was not accepted")


def pull_preferred(store: Store, preferred: Pack, fallback: Pack, settings: ModelsSettings, seconds: float) -> Pack:
    """Return ``preferred`` if it can be pulled within ``seconds``, else ``fallback`` with a warning on stderr."""
    deadline = time.monotonic() + seconds
    timeout = PackError(f"not downloaded within {seconds:g} s")

    def watch(_download: Download, _received: int) -> None:
        if time.monotonic() > deadline:
            raise timeout

    origin = Origin(mirrors=settings.mirrors, attempts=1)
    try:
        _run_within(seconds, lambda: pull(store, preferred, origin, watch), timeout)
    except PackError as error:
        command = shell_command(f"models pull {preferred.name}")
        cause = f"cannot get pack {preferred.name} ({error})"
        require_fit(fallback, settings, fallback.unfit and f"{cause}. {fallback.unfit}", f"run `{command}`")
        tqdm.write(
            f"compareface: {cause}; using pack {fallback.name}, which is "
            f"{_LOWER_ACCURACY}. To get {preferred.name} later: {command}",
            file=sys.stderr,
        )
        return fallback
    return preferred


def _run_within(seconds: float, function: Callable[[], object], timeout: PackError) -> None:
    """Call ``function``; raise ``timeout`` after ``seconds`` and :class:`PackError` for any of its exceptions.

    It runs in a daemon thread, because a DNS lookup cannot be interrupted.
    """
    future: Future[object] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    if not wait([future], seconds).done:
        raise timeout
    error = future.exception()
    if error and not isinstance(error, PackError):
        raise PackError(f"unexpected {type(error).__name__}") from error
    if error:
        raise error


@contextmanager
def _progress() -> Iterator[ProgressCallback]:
    """Yield a callback that shows the progress of one download after the other."""
    current: Download | None = None
    # disable=None: no bar if stderr is not a terminal
    with tqdm(unit="B", unit_scale=True, leave=False, disable=None) as bar:

        def watch(download: Download, received: int) -> None:
            nonlocal current
            if download is not current:
                current = download
                bar.reset(download.size)
                bar.set_description(download.name)
            bar.update(received - bar.n)

        yield watch
