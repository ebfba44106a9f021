"""Real decoder processes that crash, hang and send wrong replies, and the pool that survives them."""

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
from app.imaging.decode import Decoder, EncodedImage, decode, decode_in_process
from app.imaging.decoder_pool import DecoderPool, _Process
from app.imaging.decoder_process import MAX_FILE_BYTES, MAX_PIXEL_BYTES, NOT_DECODED, SHARED_BYTES
from app.ops.deadline import Deadline
from app.service.errors import api_errors
from tests.imaging.conftest import write

CRASH, HANG, WRONG_REPLY, ENVIRONMENT = b"crash", b"hang", b"wrong reply", b"environment"
VULNERABLE_SCRIPT = """
import os, signal, sys
sys.path.insert(0, {folder!r})
import decoder_process
original = decoder_process.decode

def decode(shared, length, flags):
    data = shared[:length].tobytes()
    if data == b"crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    while data == b"hang":
        pass
    if data == b"wrong reply":
        return 65535, 65535, 4, 2
    if data == b"environment":
        return 1 + any("COMPAREFACE" in name or "secret" in text for name, text in os.environ.items()), 1, 1, 1
    return original(shared, length, flags)

decoder_process.decode = decode
decoder_process.main(int(sys.argv[1]))
"""
"""A decoder process that misbehaves for certain data."""


@pytest.fixture
def vulnerable_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pools start processes that run ``VULNERABLE_SCRIPT``."""
    script = tmp_path / "vulnerable.py"
    script.write_text(VULNERABLE_SCRIPT.format(folder=str(Path(decoder_process.__file__).parent)))
    monkeypatch.setattr("app.imaging.decoder_pool._SCRIPT", str(script))


@pytest.fixture
def vulnerable_pool(vulnerable_script: None) -> Iterator[DecoderPool]:
    with DecoderPool(2) as pool:
        yield pool


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    with DecoderPool(2) as pool:
        yield pool


def _decoder(pool: DecoderPool) -> Decoder:
    return partial(pool.decode, Deadline.after(30))


def _error(pool: DecoderPool, data: bytes, seconds: float = 30.0) -> ErrorCode:
    with pytest.raises(ApiError) as caught, api_errors():
        pool.decode(Deadline.after(seconds), data, cv2.IMREAD_COLOR)
    return caught.value.code


def _processes(pool: DecoderPool) -> list[_Process]:
    """Return the processes of an idle pool, in the order in which they are used next."""
    processes = [(cpu, pool._idle[cpu].get()) for cpu in pool._cpus]
    for cpu, process in processes:
        pool._idle[cpu].put(process)
    return [process for _, process in processes]


def _pids(pool: DecoderPool) -> list[int]:
    return [process.popen.pid for process in _processes(pool)]


@pytest.mark.parametrize(
    ("name", "mode"), [("JPEG", "RGB"), ("JPEG", "L"), ("PNG", "RGBA"), ("PNG", "LA"), ("PNG", "1"), ("BMP", "P")]
)
def test_the_pool_decodes_like_this_process(pool: DecoderPool, astronaut: Pillow.Image, name: str, mode: str) -> None:
    data = write(astronaut.convert(mode), name)
    assert np.array_equal(EncodedImage(data, _decoder(pool)).pixels(), decode(data))


@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_the_pool_decodes_at_reduced_size(pool: DecoderPool, astronaut: Pillow.Image, reduction: int) -> None:
    data = write(astronaut, "JPEG")
    assert np.array_equal(EncodedImage(data, _decoder(pool)).pixels(reduction), EncodedImage(data).pixels(reduction))


def test_16_bit_values_and_the_largest_image_are_decoded(pool: DecoderPool) -> None:
    deep = np.random.default_rng(1).integers(0, 2**16, (2000, 200, 4), dtype=np.uint16)
    png = cv2.imencode(".png", deep)[1].tobytes()
    assert np.array_equal(pool.decode(Deadline.after(30), png, cv2.IMREAD_UNCHANGED), deep)
    jpeg = write(Pillow.new("RGB", (4000, 4000), (10, 200, 30)), "JPEG")
    assert pool.decode(Deadline.after(30), jpeg, cv2.IMREAD_COLOR).nbytes == MAX_PIXEL_BYTES


def test_the_process_itself_rejects_too_many_pixels(pool: DecoderPool) -> None:
    too_large = write(Pillow.new("L", (4001, 4000)), "PNG")
    assert decode_in_process(too_large, cv2.IMREAD_COLOR).shape == (4000, 4001, 3)
    assert _error(pool, too_large) is ErrorCode.IMAGE_DECODE_FAILED


def test_more_threads_than_processes_share_the_pool(pool: DecoderPool, astronaut: Pillow.Image) -> None:
    data = write(astronaut, "JPEG")
    with ThreadPoolExecutor(8) as threads:
        decoded = threads.map(lambda _: EncodedImage(data, _decoder(pool)).pixels(), range(40))
        sums = {int(pixels.sum()) for pixels in decoded}
    assert sums == {int(decode(data).sum())}


def test_an_image_that_crashes_its_process_fails_one_request(
    vulnerable_pool: DecoderPool, astronaut: Pillow.Image, caplog: pytest.LogCaptureFixture
) -> None:
    data = write(astronaut, "JPEG")
    before = _pids(vulnerable_pool)
    with ThreadPoolExecutor(2) as threads, caplog.at_level(logging.WARNING):
        others = [threads.submit(vulnerable_pool.decode, Deadline.after(30), data, cv2.IMREAD_COLOR) for _ in range(20)]
        assert _error(vulnerable_pool, CRASH) is ErrorCode.IMAGE_DECODE_FAILED
        assert _error(vulnerable_pool, CRASH) is ErrorCode.IMAGE_DECODE_FAILED
        assert {other.result().shape for other in others} == {(220, 300, 3)}
    assert len(_pids(vulnerable_pool)) == 2
    assert _pids(vulnerable_pool) != before
    assert [record.message for record in caplog.records] == ["decoder process crashed while decoding an image"] * 2
    assert caplog.records[0].__dict__["fields"] == {"exit_status": -signal.SIGSEGV}


def test_an_image_that_occupies_its_process_is_stopped_at_the_deadline(
    vulnerable_pool: DecoderPool, astronaut: Pillow.Image
) -> None:
    data = write(astronaut, "JPEG")
    assert vulnerable_pool.decode(Deadline.after(30), data, cv2.IMREAD_COLOR).shape == (220, 300, 3)
    started = time.monotonic()
    assert _error(vulnerable_pool, HANG, seconds=2) is ErrorCode.REQUEST_TIMEOUT
    assert 0.5 < time.monotonic() - started < 5
    assert vulnerable_pool.decode(Deadline.after(30), data, cv2.IMREAD_COLOR).shape == (220, 300, 3)


def test_no_image_is_sent_after_the_deadline(pool: DecoderPool) -> None:
    before = _pids(pool)
    assert _error(pool, b"x", seconds=0) is ErrorCode.REQUEST_TIMEOUT
    assert sorted(_pids(pool)) == sorted(before)


def test_a_compromised_process_cannot_make_the_service_read_beyond_the_pixels(vulnerable_pool: DecoderPool) -> None:
    assert _error(vulnerable_pool, WRONG_REPLY) is ErrorCode.IMAGE_DECODE_FAILED


def test_a_process_killed_while_idle_fails_no_request(pool: DecoderPool, astronaut: Pillow.Image) -> None:
    data = write(astronaut, "JPEG")
    for pid in _pids(pool):
        os.kill(pid, signal.SIGKILL)
        while not _has_exited(pool, pid):
            time.sleep(0.01)
    assert [EncodedImage(data, _decoder(pool)).pixels().shape for _ in range(4)] == [(220, 300, 3)] * 4


def _has_exited(pool: DecoderPool, pid: int) -> bool:
    return any(process.popen.pid == pid and process.has_exited for process in _processes(pool))


@pytest.mark.usefixtures("vulnerable_script")
def test_settings_are_hidden_from_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAREFACE_AUTH__KEYS", "id:secret")
    with DecoderPool(1) as pool:
        pixels = pool.decode(Deadline.after(30), ENVIRONMENT, 0)
    assert pixels.shape == (1, 1)


def test_shared_memory_is_cleared_after_each_image(pool: DecoderPool, astronaut: Pillow.Image) -> None:
    data = write(astronaut, "PNG")
    for _ in range(2):
        assert pool.decode(Deadline.after(30), data, cv2.IMREAD_COLOR).any()
    assert _error(pool, data[:-400]) is ErrorCode.IMAGE_DECODE_FAILED
    assert [any(process.memory[:]) for process in _processes(pool)] == [False, False]


def test_a_process_that_cannot_run_is_not_reported_as_a_bad_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.imaging.decoder_pool._SCRIPT", os.devnull)
    with DecoderPool(1) as broken:
        for _ in range(2):
            with pytest.raises(OSError, match="exited 3 times before"):
                broken.decode(Deadline.after(30), b"", 0)


def test_after_a_failed_start_the_next_request_tries_again(
    vulnerable_pool: DecoderPool, astronaut: Pillow.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write(astronaut, "JPEG")
    with monkeypatch.context() as without_interpreter:
        without_interpreter.setattr(sys, "executable", "/nowhere/python")
        for _ in range(2):
            assert _error(vulnerable_pool, CRASH) is ErrorCode.IMAGE_DECODE_FAILED
        with pytest.raises(OSError, match="nowhere"):
            vulnerable_pool.decode(Deadline.after(30), data, cv2.IMREAD_COLOR)
    shapes = [vulnerable_pool.decode(Deadline.after(30), data, cv2.IMREAD_COLOR).shape for _ in range(2)]
    assert shapes == [(220, 300, 3)] * 2


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
@pytest.mark.usefixtures("vulnerable_script")
def test_a_pinned_thread_uses_the_process_of_its_core_also_after_a_replacement() -> None:
    cpus = sorted(os.sched_getaffinity(0))[:2]

    def affinities() -> list[set[int]]:
        return [os.sched_getaffinity(pid) for pid in _pids(pinned)]

    def crash_on(cpu: int) -> None:
        os.sched_setaffinity(0, {cpu})
        assert _error(pinned, CRASH) is ErrorCode.IMAGE_DECODE_FAILED

    with DecoderPool(2, cpus=cpus) as pinned, ThreadPoolExecutor(1) as threads:
        assert affinities() == [{cpu} for cpu in cpus]
        for index, cpu in enumerate(cpus):
            before = _pids(pinned)
            threads.submit(crash_on, cpu).result()
            assert [old == new for old, new in zip(before, _pids(pinned), strict=True)] == [index == 1, index == 0]
            assert affinities() == [{cpu} for cpu in cpus]


@pytest.mark.parametrize("processes", [1, 2])
def test_threads_that_are_not_pinned_share_all_processes(processes: int, astronaut: Pillow.Image) -> None:
    data, cpus = write(astronaut, "JPEG"), sorted(os.sched_getaffinity(0))[:2]
    with DecoderPool(processes, cpus=cpus) as pool, ThreadPoolExecutor(3) as threads:
        shapes = threads.map(lambda _: pool.decode(Deadline.after(30), data, cv2.IMREAD_COLOR).shape, range(6))
        assert set(shapes) == {(220, 300, 3)}
        taken = [(idle := pool._nearest_idle(), idle.get()) for _ in range(processes)]
        assert len({process.popen.pid for _, process in taken}) == processes, "each call takes an idle process"
        for idle, process in taken:
            idle.put(process)


def test_processes_end_with_the_pool() -> None:
    with DecoderPool(2) as pool:
        pids = _pids(pool)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_failed_start_of_the_pool_leaves_no_process_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    started, start = list[_Process](), _Process.start

    def start_one(cpu: int | None) -> _Process:
        if started:
            raise OSError("out of memory")
        started.append(start(cpu))
        return started[-1]

    monkeypatch.setattr(_Process, "start", start_one)
    with pytest.raises(OSError, match="out of memory"), DecoderPool(2):
        pass
    assert [process.has_exited for process in started] == [True]


@pytest.mark.parametrize("pause_s", [0, 0.02, 0.1, 0.2, 0.4])
def test_a_pool_may_be_closed_at_any_time_without_output(pause_s: float, capfd: pytest.CaptureFixture[str]) -> None:
    with DecoderPool(2):
        time.sleep(pause_s)
    assert capfd.readouterr() == ("", "")


def test_image_libraries_write_nothing_about_damaged_files(
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
    with DecoderPool(1) as pool:
        for data in (jpeg, png):
            with suppress(ApiError):
                pool.decode(Deadline.after(30), bytes(data), cv2.IMREAD_COLOR)
    assert capfd.readouterr() == ("", "")


def test_signals_sent_to_the_service_do_not_abort_its_requests(pool: DecoderPool, astronaut: Pillow.Image) -> None:
    data = write(astronaut, "JPEG")
    for _ in range(2):
        pool.decode(Deadline.after(30), data, cv2.IMREAD_COLOR)
    before = _pids(pool)
    for pid in before:
        assert os.getpgid(pid) != os.getpgrp()
        os.kill(pid, signal.SIGTERM)
    for _ in range(2):
        assert pool.decode(Deadline.after(30), data, cv2.IMREAD_COLOR).any()
    assert sorted(_pids(pool)) == sorted(before)


def test_a_process_writes_pixels_behind_the_encoded_image(astronaut: Pillow.Image) -> None:
    shared = np.zeros(SHARED_BYTES, dtype=np.uint8)
    data = write(astronaut, "PNG")
    shared[: len(data)] = np.frombuffer(data, dtype=np.uint8)
    assert decoder_process.decode(shared, len(data), cv2.IMREAD_COLOR) == (220, 300, 3, 1)
    pixels = shared[MAX_FILE_BYTES : MAX_FILE_BYTES + 220 * 300 * 3].reshape(220, 300, 3)
    assert np.array_equal(pixels, decode(data))
    assert decoder_process.decode(shared, len(data), cv2.IMREAD_GRAYSCALE) == (220, 300, 1, 1)
    assert decoder_process.decode(shared, 20, cv2.IMREAD_COLOR) == NOT_DECODED
    assert decoder_process.decode(shared, 0, cv2.IMREAD_COLOR) == NOT_DECODED
