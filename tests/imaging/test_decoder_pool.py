"""Real processes that die, spin and lie, and the pool that lives on."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from app.errors import ApiError, ErrorCode
from app.imaging import decoder_process
from app.imaging.decode import EncodedImage, decode, decode_in_process
from app.imaging.decoder_pool import DecoderPool, _Decoder
from app.imaging.decoder_process import NO_PICTURE, ROOM_FOR_FILE, SIZE
from app.ops.deadline import Deadline
from app.service.errors import api_errors
from tests.imaging.conftest import write

CRASH, SPIN, LIE, ENVIRONMENT = b"crash", b"spin", b"lie", b"environment"
HOSTILE = """
import os, signal, sys
sys.path.insert(0, {folder!r})
import decoder_process as honest
plainly = honest.decode

def decode(shared, length, flags):
    said = shared[:length].tobytes()
    if said == b"crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    while said == b"spin":
        pass
    if said == b"lie":
        return 65535, 65535, 4, 2
    if said == b"environment":
        return 1 + any("COMPAREFACE" in name or "secret" in text for name, text in os.environ.items()), 1, 1, 1
    return plainly(shared, length, flags)

honest.decode = decode
honest.main(int(sys.argv[1]))
"""


@pytest.fixture
def holed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes have a decoder with holes that a file can name."""
    script = tmp_path / "vulnerable.py"
    script.write_text(HOSTILE.format(folder=str(Path(decoder_process.__file__).parent)))
    monkeypatch.setattr("app.imaging.decoder_pool._SCRIPT", str(script))


@pytest.fixture
def vulnerable(holed: None) -> Iterator[DecoderPool]:
    """Two such processes, real ones."""
    with DecoderPool(2) as decoders:
        yield decoders


@pytest.fixture(scope="module")
def decoders() -> Iterator[DecoderPool]:
    with DecoderPool(2) as decoders:
        yield decoders


def _error(decoders: DecoderPool, data: bytes, seconds: float = 30.0) -> ErrorCode:
    with pytest.raises(ApiError) as caught, api_errors():
        decoders.decode(Deadline.after(seconds), data, cv2.IMREAD_COLOR)
    return caught.value.code


def _idle(decoders: DecoderPool) -> list[_Decoder]:
    """All processes, none of which is at work, in the order in which they come next."""
    idle = [(place, decoders._idle[place].get()) for place in decoders._places]
    for place, decoder in idle:
        decoders._idle[place].put(decoder)
    return [decoder for _, decoder in idle]


def _pids(decoders: DecoderPool) -> list[int]:
    return [decoder._process.pid for decoder in _idle(decoders)]


@pytest.mark.parametrize(
    ("name", "mode"), [("JPEG", "RGB"), ("JPEG", "L"), ("PNG", "RGBA"), ("PNG", "LA"), ("PNG", "1"), ("BMP", "P")]
)
def test_pixels_are_those_of_a_decoder_at_home(
    decoders: DecoderPool, astronaut: Pillow.Image, name: str, mode: str
) -> None:
    data = write(astronaut.convert(mode), name)
    away = partial(decoders.decode, Deadline.after(30))
    assert np.array_equal(EncodedImage(data, away).pixels(), decode(data))


@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_reduced_pictures_too(decoders: DecoderPool, astronaut: Pillow.Image, reduction: int) -> None:
    data = write(astronaut, "JPEG")
    away = partial(decoders.decode, Deadline.after(30))
    assert np.array_equal(EncodedImage(data, away).pixels(reduction), EncodedImage(data).pixels(reduction))


def test_sixteen_bits_and_the_largest_picture_pass(decoders: DecoderPool) -> None:
    deep = np.random.default_rng(1).integers(0, 2**16, (2000, 200, 4), dtype=np.uint16)
    png = cv2.imencode(".png", deep)[1].tobytes()
    assert np.array_equal(decoders.decode(Deadline.after(30), png, cv2.IMREAD_UNCHANGED), deep)
    jpeg = write(Pillow.new("RGB", (4000, 4000), (10, 200, 30)), "JPEG")
    assert decoders.decode(Deadline.after(30), jpeg, cv2.IMREAD_COLOR).nbytes == decoder_process.ROOM_FOR_PIXELS


def test_more_pixels_than_may_be_sent_are_refused_by_the_decoder_itself(decoders: DecoderPool) -> None:
    beyond = write(Pillow.new("L", (4001, 4000)), "PNG")
    assert decode_in_process(beyond, cv2.IMREAD_COLOR).shape == (4000, 4001, 3)
    assert _error(decoders, beyond) is ErrorCode.IMAGE_DECODE_FAILED


def test_more_threads_than_processes_wait_for_one(decoders: DecoderPool, astronaut: Pillow.Image) -> None:
    data = write(astronaut, "JPEG")
    with ThreadPoolExecutor(8) as threads:
        away = partial(decoders.decode, Deadline.after(30))
        sums = {int(pixels.sum()) for pixels in threads.map(lambda _: EncodedImage(data, away).pixels(), range(40))}
    assert sums == {int(decode(data).sum())}


def test_a_picture_that_crashes_its_decoder_costs_one_request(
    vulnerable: DecoderPool, astronaut: Pillow.Image, caplog: pytest.LogCaptureFixture
) -> None:
    data = write(astronaut, "JPEG")
    before = _pids(vulnerable)
    with ThreadPoolExecutor(2) as threads, caplog.at_level(logging.WARNING):
        others = [threads.submit(vulnerable.decode, Deadline.after(30), data, cv2.IMREAD_COLOR) for _ in range(20)]
        assert _error(vulnerable, CRASH) is ErrorCode.IMAGE_DECODE_FAILED
        assert _error(vulnerable, CRASH) is ErrorCode.IMAGE_DECODE_FAILED
        assert {other.result().shape for other in others} == {(220, 300, 3)}
    assert len(_pids(vulnerable)) == 2
    assert _pids(vulnerable) != before
    assert [record.message for record in caplog.records] == ["a decoder died of a picture"] * 2
    assert caplog.records[0].__dict__["fields"] == {"exit_status": -signal.SIGSEGV}


def test_a_picture_that_makes_its_decoder_spin_is_given_up_in_time(
    vulnerable: DecoderPool, astronaut: Pillow.Image
) -> None:
    data = write(astronaut, "JPEG")
    assert vulnerable.decode(Deadline.after(30), data, cv2.IMREAD_COLOR).shape == (220, 300, 3)
    started = time.monotonic()
    assert _error(vulnerable, SPIN, seconds=2) is ErrorCode.REQUEST_TIMEOUT
    assert 0.5 < time.monotonic() - started < 5
    assert vulnerable.decode(Deadline.after(30), data, cv2.IMREAD_COLOR).shape == (220, 300, 3)


def test_a_time_that_is_up_is_told_without_a_picture_sent(decoders: DecoderPool) -> None:
    before = _pids(decoders)
    assert _error(decoders, b"x", seconds=0) is ErrorCode.REQUEST_TIMEOUT
    assert sorted(_pids(decoders)) == sorted(before)


def test_a_decoder_that_is_not_itself_any_more_cannot_make_the_service_read_beyond_the_pixels(
    vulnerable: DecoderPool,
) -> None:
    assert _error(vulnerable, LIE) is ErrorCode.IMAGE_DECODE_FAILED


def test_a_process_that_was_killed_while_idle_costs_nothing(decoders: DecoderPool, astronaut: Pillow.Image) -> None:
    data = write(astronaut, "JPEG")
    away = partial(decoders.decode, Deadline.after(30))
    for pid in _pids(decoders):
        os.kill(pid, signal.SIGKILL)
        while not _is_gone(decoders, pid):
            time.sleep(0.01)
    assert [EncodedImage(data, away).pixels().shape for _ in range(4)] == [(220, 300, 3)] * 4


def _is_gone(decoders: DecoderPool, pid: int) -> bool:
    return any(decoder._process.pid == pid and decoder.has_ended for decoder in _idle(decoders))


def test_processes_do_not_know_the_settings(vulnerable: DecoderPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAREFACE_AUTH__KEYS", "id:secret")
    with DecoderPool(1) as informed:
        pixels = informed.decode(Deadline.after(30), ENVIRONMENT, 0)
    assert pixels.shape == (1, 1)


def test_no_picture_stays_in_the_shared_memory(decoders: DecoderPool, astronaut: Pillow.Image) -> None:
    data = write(astronaut, "PNG")
    for _ in range(2):
        assert decoders.decode(Deadline.after(30), data, cv2.IMREAD_COLOR).any()
    assert _error(decoders, data[:-400]) is ErrorCode.IMAGE_DECODE_FAILED
    assert [any(decoder._memory[:]) for decoder in _idle(decoders)] == [False, False]


def test_a_decoder_that_does_not_start_is_a_defect_of_ours_and_not_of_the_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.imaging.decoder_pool._SCRIPT", os.devnull)
    with DecoderPool(1) as broken:
        for _ in range(2):
            with pytest.raises(OSError, match="ended 3 times before"):
                broken.decode(Deadline.after(30), b"", 0)


def test_where_no_process_can_be_started_the_next_request_tries_again(
    vulnerable: DecoderPool, astronaut: Pillow.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write(astronaut, "JPEG")
    with monkeypatch.context() as without:
        without.setattr(sys, "executable", "/nowhere/python")
        for _ in range(2):
            assert _error(vulnerable, CRASH) is ErrorCode.IMAGE_DECODE_FAILED
        with pytest.raises(OSError, match="nowhere"):
            vulnerable.decode(Deadline.after(30), data, cv2.IMREAD_COLOR)
    assert [vulnerable.decode(Deadline.after(30), data, cv2.IMREAD_COLOR).shape for _ in range(2)] == [
        (220, 300, 3)
    ] * 2


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one core only")
@pytest.mark.usefixtures("holed")
def test_a_thread_that_keeps_to_a_core_is_served_there_also_by_a_process_that_came_later() -> None:
    cores = sorted(os.sched_getaffinity(0))[:2]

    def places() -> list[set[int]]:
        return [os.sched_getaffinity(pid) for pid in _pids(pinned)]

    def crash_at(core: int) -> None:
        os.sched_setaffinity(0, {core})
        assert _error(pinned, CRASH) is ErrorCode.IMAGE_DECODE_FAILED

    with DecoderPool(2, cores=cores) as pinned, ThreadPoolExecutor(1) as pool:
        assert places() == [{core} for core in cores]
        for number, core in enumerate(cores):
            before = _pids(pinned)
            pool.submit(crash_at, core).result()
            assert [old == new for old, new in zip(before, _pids(pinned), strict=True)] == [number == 1, number == 0]
            assert places() == [{core} for core in cores]


@pytest.mark.parametrize("processes", [1, 2])
def test_threads_that_keep_to_no_core_share_all_processes(processes: int, astronaut: Pillow.Image) -> None:
    data, cores = write(astronaut, "JPEG"), sorted(os.sched_getaffinity(0))[:2]
    with DecoderPool(processes, cores=cores) as decoders, ThreadPoolExecutor(3) as pool:
        shapes = pool.map(lambda _: decoders.decode(Deadline.after(30), data, cv2.IMREAD_COLOR).shape, range(6))
        assert set(shapes) == {(220, 300, 3)}
        near = [(line := decoders._near(), line.get()) for _ in range(processes)]
        assert len({decoder._process.pid for _, decoder in near}) == processes, "each takes one that is idle"
        for line, decoder in near:
            line.put(decoder)


def test_processes_end_with_the_pool() -> None:
    with DecoderPool(2) as decoders:
        pids = _pids(decoders)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("pause_s", [0, 0.02, 0.1, 0.2, 0.4])
def test_a_pool_may_be_closed_at_any_time_and_is_quiet_about_it(
    pause_s: float, capfd: pytest.CaptureFixture[str]
) -> None:
    with DecoderPool(2):
        time.sleep(pause_s)
    assert capfd.readouterr() == ("", "")


def test_the_libraries_write_nothing_about_the_bad_files_of_strangers(
    astronaut: Pillow.Image, capfd: pytest.CaptureFixture[str]
) -> None:
    jpeg, png = bytearray(write(astronaut, "JPEG")), bytearray(write(astronaut, "PNG"))
    jpeg[-400:-380] = bytes(20)
    jpeg[-300:-300] = b"\xff\xd0"
    png[len(png) // 2] ^= 1
    for data in (jpeg, png):
        with suppress(ApiError):
            decode_in_process(bytes(data), cv2.IMREAD_COLOR)
    assert "orrupt" in capfd.readouterr().err
    with DecoderPool(1) as decoders:
        for data in (jpeg, png):
            with suppress(ApiError):
                decoders.decode(Deadline.after(30), bytes(data), cv2.IMREAD_COLOR)
    assert capfd.readouterr() == ("", "")


def test_signals_meant_for_the_service_leave_its_requests_alone(decoders: DecoderPool, astronaut: Pillow.Image) -> None:
    data = write(astronaut, "JPEG")
    for _ in range(2):
        decoders.decode(Deadline.after(30), data, cv2.IMREAD_COLOR)
    before = _pids(decoders)
    for pid in before:
        assert os.getpgid(pid) != os.getpgrp()
        os.kill(pid, signal.SIGTERM)
    for _ in range(2):
        assert decoders.decode(Deadline.after(30), data, cv2.IMREAD_COLOR).any()
    assert sorted(_pids(decoders)) == sorted(before)


def test_what_a_process_does_with_a_file(astronaut: Pillow.Image) -> None:
    shared = np.zeros(SIZE, dtype=np.uint8)
    data = write(astronaut, "PNG")
    shared[: len(data)] = np.frombuffer(data, dtype=np.uint8)
    assert decoder_process.decode(shared, len(data), cv2.IMREAD_COLOR) == (220, 300, 3, 1)
    pixels = shared[ROOM_FOR_FILE : ROOM_FOR_FILE + 220 * 300 * 3].reshape(220, 300, 3)
    assert np.array_equal(pixels, decode(data))
    assert decoder_process.decode(shared, len(data), cv2.IMREAD_GRAYSCALE) == (220, 300, 1, 1)
    assert decoder_process.decode(shared, 20, cv2.IMREAD_COLOR) == NO_PICTURE
    assert decoder_process.decode(shared, 0, cv2.IMREAD_COLOR) == NO_PICTURE
