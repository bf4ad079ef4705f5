"""What the benchmarks share: a network."""

import sys
from pathlib import Path

import pytest
import torch

SHARED = Path(__file__).resolve().parents[2].parent / "shared"


@pytest.fixture(scope="session")
def mobilenet() -> torch.nn.Module:
    """MobileNetV2: ImageNet's where it lies beside the checkout, else torchvision's with random weights (same cost)."""
    if (SHARED / "models" / "mobilenet.py").exists():
        sys.path.insert(0, str(SHARED / "models"))
        import mobilenet

        return mobilenet.load()
    import torchvision

    torch.manual_seed(0)
    return torchvision.models.mobilenet_v2(weights=None).eval().requires_grad_(False)
