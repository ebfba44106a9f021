"""The ranges of activations that the int8 model of `open` records (``app/packs/convert/dlib_int8.py``)."""

from collections.abc import Iterator, Mapping

import cv2
import numpy as np
import onnx
import onnxruntime

from app.engine import open_pipelines, open_shared_resources
from app.environment import Settings
from app.ops.stage_timer import StageTimer
from app.packs.convert.dlib_int8 import RANGES
from app.packs.convert.int8 import Range
from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.session import Tensor
from app.runtime.worker_pool import ThreadBudget
from app.service.face_pipeline import FaceDetectionPipeline, TargetFace
from app.vision.align import align
from app.vision.embed import blob
from tests.support.images import cast
from tests.support.pipelines import detect_all

_HEADROOM = 1.25


def measured_ranges(settings: Settings, store: Store, pack: Pack) -> Mapping[str, Range]:
    """Return the measured ranges of six faces and their mirror images, widened by a quarter.

    The ranges were recorded with crops from one detection of the landmarks. Other crops would change the int8 model,
    its digest and every score.
    """
    one_detection = pack.detector.landmark_crop.model_copy(update={"detections": 1})
    pack = pack.model_copy(update={"detector": pack.detector.model_copy(update={"landmark_crop": one_detection})})
    spec, one_thread = pack.embedder, ThreadBudget(workers=1, intra_op=1)
    pipelines = open_pipelines(settings, store, pack, open_shared_resources(settings, one_thread))
    low, high = ((level - np.array(spec.mean)) / spec.std for level in (0, 255))
    ranges = {"image": (float(low.min()), float(high.max()))}
    inner = [name for name in RANGES if name not in ranges]
    model = onnx.load(store.resolve(pack)[spec.file])
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in inner)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    values = session.run(inner, {"image": np.concatenate(list(blobs(pipelines.detection, pack)))})
    return ranges | {
        name: (_HEADROOM * float(value.min()), _HEADROOM * float(value.max()))
        for name, value in zip(inner, values, strict=True)
    }


def blobs(detection: FaceDetectionPipeline, pack: Pack) -> Iterator[Tensor]:
    """Yield the embedder's input for each of the six faces."""
    spec = pack.embedder
    encoded = cv2.imencode(".png", cast())[1].tobytes()
    image, faces = detect_all(detection, encoded)
    for face in faces:
        if face.confidence >= pack.detector.selection_confidence:
            target = TargetFace(image, face, 1)
            landmarks = detection.refine_landmarks(target, StageTimer.after(60), rotate=False).landmarks
            yield blob(align(image, landmarks, np.array(spec.template, np.float32), spec.input_size), spec)
