from collections import Counter

import pytest

from app.packs.convert import dlib_file
from app.packs.convert.dlib_file import Convolution, Dense, Pool
from app.packs.manifest import PackError


def test_every_layer_of_the_file_is_read(dlib_source: bytes) -> None:
    layers = dlib_file.read(dlib_source)
    assert Counter(type(layer).__name__ for layer in layers) == {
        "Convolution": 29,
        "Affine": 29,
        "Relu": 29,
        "AddShortcut": 14,
        "Pool": 6,
        "Dense": 1,
    }
    first, last = layers[0], layers[-1]
    assert isinstance(first, Convolution)
    assert (first.filters.shape, first.stride, first.padding) == ((32, 3, 7, 7), (2, 2), (0, 0))
    assert layers[3] == Pool(is_mean=False, window=(3, 3), stride=(2, 2), padding=(0, 0))
    assert isinstance(last, Dense)
    assert last.matrix.shape == (256, 128)


def test_a_truncated_file_is_refused(dlib_source: bytes) -> None:
    ends = [*range(0, 420, 3), *range(19300, 19460, 3), *range(1, len(dlib_source), len(dlib_source) // 23)]
    ends += [len(dlib_source) - missing for missing in range(1, 120, 5)]
    for end in ends:
        with pytest.raises(PackError, match="dlib file"):
            dlib_file.read(dlib_source[:end])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"loss_metric_2", b"loss_binary_h", "was trained with the loss 'loss_binary_h'"),
        (b"input_rgb_image_sized", b"input_grey_imag_sized", "does not have an RGB image as input"),
        (b"max_pool_2", b"min_pool_2", "the unsupported layer 'min_pool_2'"),
        (b"\x01\x0aavg_pool_2", b"\x01\x7favg_pool_2", "invalid name"),
        (b"\x01\x0aavg_pool_2", b"\x81\x0aavg_pool_2", "invalid size"),
        (b"\x01\x0aavg_pool_2", b"\x0c\x0aavg_pool_2", "invalid integer"),
        (b"\x01\x0aavg_pool_2", b"\x31\x0aavg_pool_2", "invalid integer"),
        (b"\x01\x05con_4\x01\x02", b"\x01\x05con_4\x01\x03", "unsupported version"),
        (b"\x01\x05con_4\x01\x02\x02\x80\x12", b"\x01\x05con_4\x01\x02\x04\xff\xff\xff\xff", "invalid size"),
        (
            b"\x01\x05con_4\x01\x02\x02\x80\x12\x01\x01",
            b"\x01\x05con_4\x01\x02\x02\x80\x12\x02\xff\xff",
            "is truncated",
        ),
        (b"\x01\x20\x01\x07\x01\x07\x01\x02", b"\x01\x20\x01\x07\x01\x06\x01\x02", "do not match its shape"),
        (b"\x01\x20\x01\x07\x01\x07\x01\x02", b"\x01\x20\x01\x07\x01\x00\x01\x02", "do not match its shape"),
        (b"relu_110", b"relu_1?0", "invalid boolean"),
        (b"\x01\x04fc_2\x01\x80", b"\x01\x04fc_2\x01\x81", "do not match its shape"),
        (b"\x01\x03\x01\x15input", b"\x01\x04\x01\x15input", "unsupported version"),
    ],
)
def test_a_damaged_file_is_refused(dlib_source: bytes, old: bytes, new: bytes, message: str) -> None:
    assert old in dlib_source
    with pytest.raises(PackError, match=message):
        dlib_file.read(dlib_source.replace(old, new, 1))


def test_a_weight_that_is_not_finite_is_refused(dlib_source: bytes) -> None:
    start = dlib_source.index(b"con_4") + len(b"con_4") + 11
    damaged = dlib_source[:start] + b"\x00\x00\xc0\x7f" + dlib_source[start + 4 :]
    with pytest.raises(PackError, match="a weight is not finite"):
        dlib_file.read(damaged)


def test_data_after_the_last_layer_is_refused(dlib_source: bytes) -> None:
    with pytest.raises(PackError, match="has data after its last layer"):
        dlib_file.read(dlib_source + b"\x00")


@pytest.mark.parametrize("garbage", [b"", b"\x00" * 64, b"\xff" * 64, b"PK\x03\x04" * 16, b"\x01\x01\x01"])
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(PackError, match="dlib file"):
        dlib_file.read(garbage)
