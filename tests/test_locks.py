"""The two lock files: the same packages, but for onnxruntime, of which each has one build."""

from __future__ import annotations

import re
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


def _locked(name: str) -> dict[str, str]:
    lines = re.findall(r"^([a-z0-9._-]+)==(.*?) *\\$", (_ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) > 50
    return {f"{package} {requirement.partition(';')[2]}": requirement for package, requirement in lines}


def test_a_gpu_gets_the_same_packages_but_for_the_build_of_onnxruntime() -> None:
    cpu, gpu = _locked("requirements.lock"), _locked("requirements-gpu.lock")
    assert {name for name in cpu if cpu[name] != gpu.get(name)} == {"onnxruntime "}
    added = {name.strip() for name in gpu.keys() - cpu.keys()}
    assert {name for name in added if not name.startswith("nvidia-")} == {"onnxruntime-gpu"}
