"""The actions of the service ``iai``: one module each. ``ACTIONS`` lists them for the gateway and OpenAPI."""

from app.api.actions.base import Action
from app.api.actions.compare_face import COMPARE_FACE
from app.api.actions.detect_face import DETECT_FACE

ACTIONS: tuple[Action, ...] = (COMPARE_FACE, DETECT_FACE)
