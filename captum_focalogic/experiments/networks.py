"""Small classifiers of scenes: torchvision's made a hundred times smaller, and one that is told classes in words.

The last is contrastive: images and captions are embedded side by side (Radford et al. 2021, CLIP). It is trained on
scenes and what a caption says of their objects, never on classes. A class is told afterwards, by descriptions of what
its rule speaks of.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize
from torchvision.models import DenseNet, VisionTransformer
from torchvision.models.resnet import BasicBlock

from captum_focalogic.classifier import Normalised
from captum_focalogic.demo.batches import SceneSet
from captum_focalogic.demo.network import SceneNetwork
from captum_focalogic.demo.rules import CLASS_NAMES, COLOURS, RULE_KINDS, RULES, SHAPES, ObjectKind
from captum_focalogic.demo.scenes import Scene
from captum_focalogic.demo.train import TrainingConfig, TrainingProgress, fit, reproducible
from captum_focalogic.errors import InputError
from captum_focalogic.integrations.zero_shot import ZeroShot

SIDE = 64
"""Side of the scenes that these networks are made for, in pixels."""

_CLASSES = len(CLASS_NAMES)

_HALF = [0.5, 0.5, 0.5]


@dataclass(frozen=True, eq=False)
class Architecture:
    """A network that is not trained yet, and how fast it learns.

    Attributes
    ----------
    make : callable
        Makes the network: images (N, 3, SIDE, SIDE) in [0, 1] to logits.
    learning_rate : float
        Peak of the one-cycle schedule.
    what : str
        The architecture, in a few words.
    """

    make: Callable[[], nn.Module]
    learning_rate: float
    what: str


def small_resnet(classes: int = _CLASSES) -> nn.Module:
    """Four residual blocks behind a stem, the mean over places, and a linear layer (He et al. 2016)."""
    stem = (nn.Conv2d(3, 16, 5, 2, 2, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    blocks = (_residual(16, 24, 2), _residual(24, 48, 2), _residual(48, 48, 1), _residual(48, 96, 2))
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(96, classes))
    return Normalised(nn.Sequential(*stem, *blocks, *head), _HALF, _HALF)


def _residual(width_in: int, width_out: int, stride: int) -> nn.Module:
    shortcut = nn.Sequential(nn.Conv2d(width_in, width_out, 1, stride, bias=False), nn.BatchNorm2d(width_out))
    changes = stride != 1 or width_in != width_out
    block: nn.Module = BasicBlock(width_in, width_out, stride, shortcut if changes else None)
    return block


def small_densenet(classes: int = _CLASSES) -> nn.Module:
    """Three blocks in which every layer sees all layers before it (Huang et al. 2017)."""
    return Normalised(DenseNet(12, (2, 2, 2), 24, 2, num_classes=classes), _HALF, _HALF)


def small_vit(classes: int = _CLASSES) -> nn.Module:
    """Three layers of attention over 8 x 8 patches of 8 x 8 pixels (Dosovitskiy et al. 2021)."""
    network = VisionTransformer(SIDE, SIDE // 8, 3, 4, 64, 128, num_classes=classes)
    return Normalised(network, _HALF, _HALF)


ARCHITECTURES: Mapping[str, Architecture] = {
    "scene network": Architecture(SceneNetwork, 6e-3, "five convolutions and the maximum over places"),
    "small ResNet": Architecture(small_resnet, 6e-3, "four residual blocks and the mean over places"),
    "small DenseNet": Architecture(small_densenet, 6e-3, "three dense blocks and the mean over places"),
    "small ViT": Architecture(small_vit, 1e-3, "three layers of attention over 64 patches"),
}
"""Classifiers that are trained on labels."""

WORDS: tuple[str, ...] = ("", "scene", *COLOURS, *SHAPES)
"""The vocabulary, by token: nothing (to fill up), what every caption begins with, and what objects look like."""

MENTIONED = 3
"""Most objects that a caption mentions: what people say of an image is true of it, but not all that is."""

WORDLESS = 0.1
"""Share of the captions that mention no object at all."""

WIDTH = 64
"""Of embeddings and of the text encoder."""

_LONGEST = 1 + 2 * MENTIONED


def caption(kinds: Sequence[ObjectKind]) -> str:
    """What is said of a scene: ``"scene red disc blue square"``."""
    return " ".join(("scene", *map(str, kinds)))


def tokens_of(captions: Sequence[str]) -> Tensor:
    """Captions as tokens (N, L), filled up with 0.

    Raises
    ------
    InputError
        If a word is not in the vocabulary.
    """
    unknown = sorted({word for text in captions for word in text.split()} - set(WORDS))
    if unknown:
        raise InputError(f"captions of scenes do not know {', '.join(unknown)}; they know {', '.join(WORDS[1:])}")
    rows = [[WORDS.index(word) for word in text.split()] for text in captions]
    return torch.tensor([row + [0] * (_LONGEST - len(row)) for row in rows])


def descriptions() -> dict[int, tuple[str, ...]]:
    """What each class of the scenes is told by: a caption for each way to meet its rule.

    "Other" is told by captions that fall short of every rule: nothing said at all, and any single object that some
    rule speaks of.
    """
    met = {label: tuple(map(caption, product(*rule.clauses))) for label, rule in RULES.items()}
    return {0: (caption(()), *(caption((kind,)) for kind in RULE_KINDS)), **met}


class Contrastive(nn.Module):
    """An image encoder and a text encoder into one space.

    Attributes
    ----------
    log_scale : Parameter
        Logarithm of what cosines are multiplied by.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = SceneNetwork(WIDTH)
        self.words = nn.Embedding(len(WORDS), WIDTH, padding_idx=0)
        self.places = nn.Parameter(0.02 * torch.randn(_LONGEST, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 2 * WIDTH, dropout=0.0, batch_first=True, norm_first=True)
        self.read = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.last = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH))
        self.log_scale = nn.Parameter(torch.tensor(10.0).log())

    def embed_images(self, images: Tensor) -> Tensor:
        """Embeddings (N, WIDTH) of images (N, 3, H, W) in [0, 1]."""
        return cast(Tensor, self.encoder(images))

    def embed_texts(self, tokens: Tensor) -> Tensor:
        """Embeddings (N, WIDTH) of captions as tokens (N, L)."""
        read = self.read(self.words(tokens) + self.places[: tokens.shape[1]], src_key_padding_mask=tokens == 0)
        return cast(Tensor, self.last(read[:, 0]))

    def forward(self, images: Tensor, tokens: Tensor) -> Tensor:
        """How well each image goes with each caption: scaled cosines (N, T)."""
        cosines = normalize(self.embed_images(images), dim=-1) @ normalize(self.embed_texts(tokens), dim=-1).T
        return self.log_scale.exp().clamp(max=100.0) * cosines


def train_contrastive(
    config: TrainingConfig,
    scenes: Iterable[Scene],
    show_progress: bool | str = False,
    progress: TrainingProgress | None = None,
) -> Contrastive:
    """Train on scenes and captions of their objects; images lose regions as those of the classifiers do.

    Parameters
    ----------
    config : TrainingConfig
        What is said of an image that lost regions is always about what is left.
    scenes : iterable of Scene
        May be a generator.
    show_progress : bool or str
        Show a bar; a text is what it begins with.
    progress : TrainingProgress, optional
        Where a training goes on that was broken off.

    Returns
    -------
    Contrastive
        In evaluation mode.
    """
    kinds: list[tuple[ObjectKind, ...]] = []

    def noted() -> Iterator[Scene]:
        for scene in scenes:
            kinds.append(tuple(item.kind for item in scene.objects))
            yield scene

    drawn = SceneSet.from_scenes(noted())
    generator = torch.Generator().manual_seed(config.seed)

    def losses() -> Iterator[Tensor]:
        for rows, kept, images in drawn.occluded(config.batch_size, config.masked_share, generator):
            # region r + 1 of a scene is its object r; the regions behind those are background
            left = [
                [kind for kind, here in zip(kinds[row], states, strict=False) if here]
                for row, states in zip(rows.tolist(), kept.tolist(), strict=True)
            ]
            tokens = tokens_of([caption(_mentioned(shown, generator)) for shown in left])
            yield symmetric_loss(model(images.contiguous(memory_format=torch.channels_last), tokens))

    with reproducible(config.seed):
        model = Contrastive().to(memory_format=torch.channels_last).train()
        steps = len(drawn) // config.batch_size
        fit(model, losses, steps, config, show_progress, generator=generator, progress=progress)
    return model.to(memory_format=torch.contiguous_format).eval()


def symmetric_loss(scores: Tensor) -> Tensor:
    """Mean of two cross-entropies: of the captions given the image, and of the images given the caption.

    Parameters
    ----------
    scores : (N, N) Tensor
        Of image i and caption j; those on the diagonal belong together.
    """
    own = torch.arange(len(scores))
    return (cross_entropy(scores, own) + cross_entropy(scores.T, own)) / 2


def _mentioned(shown: Sequence[ObjectKind], generator: torch.Generator) -> list[ObjectKind]:
    """Some of the objects that are shown, in any order, none twice."""
    different = sorted(set(shown))
    if not different or torch.rand((), generator=generator) < WORDLESS:
        return []
    count = int(torch.randint(min(MENTIONED, len(different)), (), generator=generator)) + 1
    return [different[place] for place in torch.randperm(len(different), generator=generator)[:count].tolist()]


class NearestDescription(nn.Module):
    """Scores of classes: each one's is that of its description that goes best with the image.

    Parameters
    ----------
    scores : nn.Module
        Images to scores of descriptions (N, D).
    classes : sequence of int
        The class of each description: whole numbers from 0 on, each at least once.
    """

    def __init__(self, scores: nn.Module, classes: Sequence[int]) -> None:
        super().__init__()
        self.scores = scores
        self.classes = tuple(classes)

    def forward(self, images: Tensor) -> Tensor:
        """Scores (N, C) of images (N, 3, H, W) in [0, 1]."""
        scores = self.scores(images)
        of = torch.tensor(self.classes)
        return torch.stack([scores[:, of == label].amax(dim=1) for label in range(max(self.classes) + 1)], dim=1)


def zero_shot(model: Contrastive, side: int) -> NearestDescription:
    """A classifier of scenes of a size, told the classes by their :func:`descriptions`."""
    told = [(text, label) for label, texts in sorted(descriptions().items()) for text in texts]
    with torch.no_grad():
        embedded = normalize(model.embed_texts(tokens_of([text for text, _ in told])), dim=-1)
    scores = ZeroShot(
        model,
        model.embed_images,
        embedded,
        scale=model.log_scale.detach().exp().clamp(max=100.0).item(),
        bias=0.0,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        size=(side, side),
    )
    return NearestDescription(scores, [label for _, label in told]).eval()
