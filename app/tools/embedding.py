"""Embed one image for the offline tools."""

from typing import TypeAlias

from app.domain import CompareOptions, Embedding
from app.errors import ApiError, ErrorCode
from app.ops.stage_timer import StageTimer
from app.service.errors import api_errors
from app.service.face_pipeline import EmbeddingPipeline

_IMAGE_DEADLINE_S = 60.0

Outcome: TypeAlias = Embedding | ErrorCode
"""An embedding, or the error that prevented it."""


def embed(pipeline: EmbeddingPipeline, encoded: bytes) -> Outcome:
    """Return the embedding of the target face of an encoded image, or the error code."""
    if not encoded:
        return ErrorCode.IMAGE_EMPTY
    try:
        with api_errors():
            return pipeline.embed(encoded, CompareOptions(), StageTimer.after(_IMAGE_DEADLINE_S)).embedding
    except ApiError as error:
        return error.code
