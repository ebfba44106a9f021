"""Face detectors, one family per module. The key ``family`` in ``pack.toml`` selects one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.packs.manifest import DetectorSpec
from app.runtime.session import Session
from app.vision.detect.base import Detector
from app.vision.detect.centerface import CenterFace
from app.vision.detect.scrfd import Scrfd
from app.vision.detect.yunet import YuNet

DETECTORS: Mapping[str, Callable[[Session, DetectorSpec], Detector]] = {
    "centerface": CenterFace,
    "scrfd": Scrfd,
    "yunet": YuNet,
}
