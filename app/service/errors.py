"""Errors of vision and deadlines -> error codes of the API."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import ApiError, ErrorCode
from app.ops.deadline import DeadlineExceededError
from app.vision.selection import NoFaceError


@contextmanager
def api_errors(image: str = "") -> Iterator[None]:
    """Convert errors of the block to :class:`ApiError`; with ``image`` ("A" or "B"), the error names that image."""
    try:
        yield
    except ApiError as error:
        if not image:
            raise
        raise error.with_image(image) from error
    except NoFaceError as error:
        raise ApiError(ErrorCode.NO_FACE_IN_PHOTO, image=image, reason=str(error)) from error
    except DeadlineExceededError as error:
        raise ApiError(ErrorCode.REQUEST_TIMEOUT, image=image) from error
