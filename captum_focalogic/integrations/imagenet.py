"""ImageNet's 1,000 classes by name, without any package that knows them."""

from importlib.resources import files


def imagenet_labels(_: str = "") -> list[str]:
    """Names of ImageNet's 1,000 classes, in their order, as torchvision's weights give them; all different."""
    return files(__package__).joinpath("imagenet_labels.txt").read_text(encoding="utf-8").splitlines()
