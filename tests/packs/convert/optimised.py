"""The graph that onnxruntime runs on the CPU after its own optimisations."""

from collections import Counter
from pathlib import Path

import onnx
import onnxruntime


def op_counts(model: bytes, folder: Path) -> Counter[str]:
    """Return the number of nodes by operator; ``folder`` takes the optimised model."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(folder / "optimised.onnx").graph.node)
