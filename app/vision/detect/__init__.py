"""Face detectors, one family per module. The key ``family`` in ``pack.toml`` selects one."""

from collections.abc import Mapping

from app.vision.detect.base import NetworkDetector
from app.vision.detect.centerface import CenterFace
from app.vision.detect.scrfd import Scrfd
from app.vision.detect.yunet import YuNet

DETECTORS: Mapping[str, type[NetworkDetector]] = {"centerface": CenterFace, "scrfd": Scrfd, "yunet": YuNet}
