"""Convert dlib's face recognition network to an int8 ONNX file, with recorded activation ranges.

The ranges are recorded so that every machine builds the same file. ``benchmarks.int8 --ranges`` measures them on six
faces of insightface's sample image and adds a quarter of headroom. The final pooling and the layers after it stay
float32.
"""

from collections.abc import Mapping

from app.packs.convert import dlib
from app.packs.convert.int8 import Range, quantise


def convert(source: bytes) -> bytes:
    """Return the int8 ONNX file of the network in the bytes of a ``.dat`` file."""
    content: bytes = quantise(dlib.translate(source), RANGES).SerializeToString(deterministic=True)
    return content


RANGES: Mapping[str, Range] = {  # by tensor names of the float32 graph
    "image": (-0.48, 0.59),
    "relu_1": (0, 8.83),
    "relu_4": (0, 8.58),
    "conv_5": (-7.34, 6.15),
    "relu_7": (0, 9.36),
    "relu_9": (0, 7.00),
    "conv_10": (-8.93, 9.97),
    "relu_12": (0, 14.73),
    "relu_14": (0, 7.62),
    "conv_15": (-9.43, 11.73),
    "relu_17": (0, 17.89),
    "relu_19": (0, 6.51),
    "conv_20": (-6.40, 8.00),
    "averagepool_21": (0, 11.53),
    "relu_24": (0, 11.83),
    "relu_26": (0, 7.17),
    "conv_27": (-6.92, 7.65),
    "relu_29": (0, 13.55),
    "relu_31": (0, 7.75),
    "conv_32": (-9.51, 8.51),
    "relu_34": (0, 18.28),
    "relu_36": (0, 5.96),
    "conv_37": (-7.75, 7.14),
    "relu_39": (0, 20.42),
    "relu_41": (0, 6.78),
    "conv_42": (-5.99, 7.95),
    "averagepool_43": (0, 10.08),
    "relu_46": (0, 9.13),
    "relu_48": (0, 5.61),
    "conv_49": (-5.49, 5.75),
    "relu_51": (0, 10.65),
    "relu_53": (0, 6.45),
    "conv_54": (-6.92, 6.69),
    "relu_56": (0, 10.94),
    "relu_58": (0, 6.62),
    "conv_59": (-5.53, 7.34),
    "averagepool_60": (0, 4.90),
    "clip_64": (0, 7.34),
    "relu_66": (0, 4.15),
    "conv_67": (-6.60, 4.76),
    "relu_69": (0, 8.34),
    "relu_71": (0, 3.94),
    "conv_72": (-3.70, 3.21),
    "relu_74": (0, 8.78),
    "relu_76": (0, 4.16),
    "conv_77": (-2.89, 2.49),
    "averagepool_78": (0, 5.12),
    "relu_81": (0, 5.14),
}
