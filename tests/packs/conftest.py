"""The files that packages bring along, and what they are converted to."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from app.packs.convert import dlib, onnx_graph
from app.packs.manifest import Pack, PackageSource


def _source(pack: Pack, number: int) -> bytes:
    source = pack.files[number].source
    assert isinstance(source, PackageSource)
    return Path(str(metadata.distribution(source.package).locate_file(source.path))).read_bytes()


@pytest.fixture(scope="session")
def centerface_source(pack: Pack) -> bytes:
    return _source(pack, 0)


@pytest.fixture(scope="session")
def centerface(centerface_source: bytes) -> bytes:
    return onnx_graph.clean(centerface_source)


@pytest.fixture(scope="session")
def dlib_source(pack: Pack) -> bytes:
    return _source(pack, 1)


@pytest.fixture(scope="session")
def dlib_resnet(dlib_source: bytes) -> bytes:
    return dlib.convert(dlib_source)
