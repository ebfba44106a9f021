"""Face detectors, one family per module; ``pack.toml`` names the family."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.packs.manifest import DetectorSpec
from app.runtime.session import Session
from app.vision.detect.base import Detector
from app.vision.detect.centerface import CenterFace

DETECTORS: Mapping[str, Callable[[Session, DetectorSpec], Detector]] = {"centerface": CenterFace}
