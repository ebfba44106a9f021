"""What ``compareface models`` does with addresses, licences and budgets: everything around pulling a pack.

In: a store, a pack, what the operator said. Out: the pack's files in place, text on the terminal, or
:class:`PackError`. Apart from ``models``, because it imports an HTTP client, which the parser has no use for.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from app.ops.process import own_command
from app.packs import licence
from app.packs.download import Watch
from app.packs.manifest import Download, Pack, PackError, PackFile
from app.packs.pull import Origin, pull
from app.packs.store import Store
from app.settings import ModelsSettings

_LOST = "at a false-accept rate of 1e-4 it recognises .86 of the pairs of one person, where `omz` does .97"
"""On the development half of LFW (benchmarks/results)."""


def pull_from(given: Sequence[str], settings: ModelsSettings, packs: Store, pack: Pack) -> Sequence[PackFile]:
    """Put the pack's files in place, from what ``--from`` gave or else from mirrors and the published addresses."""
    try:
        with _progress() as watch:
            return pull(packs, pack, _origin(given, settings), watch)
    except PackError as error:
        if given or not pack.downloads:
            raise
        addresses = "".join(f"\n  {wanted.url}" for wanted in pack.downloads)
        raise PackError(
            f"{error}\nWithout a network, download elsewhere:{addresses}\n"
            f"and then: {own_command(f'models pull {pack.name} --from FOLDER')}, or name COMPAREFACE_MODELS__MIRRORS"
        ) from error


def _origin(given: Sequence[str], settings: ModelsSettings) -> Origin:
    if not given:
        return Origin(bases=settings.mirrors)
    urls = tuple(text for text in given if text.startswith(("https://", "http://")))
    paths = tuple(Path(text) for text in given if text not in urls)
    if urls and paths:
        raise PackError("--from takes files and folders, or addresses, but not both at once")
    return Origin(paths, urls, published=False)


def settle_licence(packs: Store, pack: Pack, *, accepts: bool) -> None:
    """Record that the operator accepts the pack's licence, where it asks for that; refuse the pack otherwise."""
    if licence.is_settled(pack.licence, packs.folder(pack)):
        return
    if not accepts:
        _ask(pack)
    licence.record(pack.licence, packs.folder(pack))


def _ask(pack: Pack) -> None:
    """Return if the operator accepts the licence."""
    licence = pack.licence
    text = f"the models of pack {pack.name} are under {licence.name}: {licence.terms} ({licence.url})"
    if not sys.stdin.isatty():
        raise PackError(f"{text}; to accept that: {own_command(f'models pull {pack.name} --accept-license')}")
    print(text, file=sys.stderr)
    if input("Do you accept this licence? [yes/no] ").strip().lower() not in {"y", "yes"}:
        raise PackError(f"pack {pack.name} was not pulled: its licence was not accepted")


def try_better(packs: Store, better: Pack, instead: Pack, settings: ModelsSettings, seconds: float) -> Pack:
    """Return the ``better`` pack if it can be had in time, else the other one, and say in one line what that costs."""
    until = time.monotonic() + seconds
    late = PackError(f"not downloaded within {seconds:g} s")

    def watch(wanted: Download, have: int) -> None:
        if time.monotonic() > until:
            raise late

    try:
        _within(seconds, lambda: pull(packs, better, Origin(bases=settings.mirrors, tries=1), watch), late)
    except PackError as error:
        how = own_command(f"models pull {better.name}")
        print(f"compareface: pack {instead.name} is used: {_LOST} ({error}); to get that: {how}", file=sys.stderr)
        return instead
    return better


def _within(seconds: float, work: Callable[[], object], late: PackError) -> None:
    """Do ``work`` in at most ``seconds``: in a thread, because a name server cannot be told to hurry."""
    failures: list[Exception] = []

    def attempt() -> None:
        try:
            work()
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise late
    if failures and not isinstance(failures[0], PackError):
        raise PackError(f"unexpected {type(failures[0]).__name__}") from failures[0]
    if failures:
        raise failures[0]


@contextmanager
def _progress() -> Iterator[Watch]:
    """Yield a function that shows the progress of one download after the other."""
    shown: dict[str, int] = {}
    # disable=None: no bar where stderr is not a terminal
    with tqdm(unit="B", unit_scale=True, leave=False, disable=None) as bar:

        def watch(wanted: Download, have: int) -> None:
            if wanted.name not in shown:
                bar.reset(wanted.size)
                bar.set_description(wanted.name)
            bar.update(have - shown.get(wanted.name, 0))
            shown[wanted.name] = have

        yield watch
