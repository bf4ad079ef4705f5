"""Zero-shot classifiers: the class whose description is nearest to the image (Radford et al. 2021)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from captum_focalogic.classifier import distinct_labels
from captum_focalogic.errors import InputError
from captum_focalogic.images import check_size

TEMPLATES = ("a photo of a {}.",)
"""Sentences with {} in place of the class name."""


class ZeroShot(nn.Module):
    """Scores of classes: scaled cosines of an image's embedding with the classes' embeddings.

    Parameters
    ----------
    network : nn.Module
        What embeds; moves with this module.
    embed : callable
        Normalised images (N, 3, H, W) to embeddings (N, D).
    classes : (K, D) Tensor
        Embeddings of the classes, of length 1.
    scale, bias : float
        Score = scale * cosine + bias.
    mean, std : sequence of 3 floats
        Normalisation of images in [0, 1].
    size : (int, int)
        Height and width that the network takes.
    """

    classes: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        embed: Callable[[Tensor], Tensor],
        classes: Tensor,
        *,
        scale: float,
        bias: float,
        mean: Sequence[float],
        std: Sequence[float],
        size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.network = network
        self.embed = embed
        self.scale = scale
        self.bias = bias
        self.size = size
        self.register_buffer("classes", classes, persistent=False)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Scores (N, K) of images (N, 3, H, W) in [0, 1]."""
        check_size((images.shape[-2], images.shape[-1]), self.size, "the image encoder")
        dtype = next(self.network.parameters()).dtype
        embeddings = self.embed(((images - self.mean) / self.std).to(dtype))
        cosines = normalize(embeddings.float(), dim=-1) @ self.classes.T
        return self.scale * cosines + self.bias


def class_embeddings(
    embed_texts: Callable[[list[str]], Tensor], labels: Sequence[str], templates: Sequence[str]
) -> Tensor:
    """One embedding a class: the mean direction over the templates.

    Parameters
    ----------
    embed_texts : callable
        Sentences to embeddings (T, D).
    labels : sequence of str
        K class names, all different.
    templates : sequence of str
        Sentences with ``{}`` for the name.

    Returns
    -------
    (K, D) float32 Tensor
        Of length 1.

    Raises
    ------
    InputError
        If labels repeat, or a template has no place for the name.
    """
    names = distinct_labels(labels)
    templates = [templates] if isinstance(templates, str) else list(templates)
    wrong = [template for template in templates if template.count("{}") != 1]
    if wrong or not templates:
        raise InputError(f"a template must have one {{}} for the class name; got {wrong[0] if wrong else 'none'!r}")
    with torch.no_grad():
        rows = [
            normalize(embed_texts([template.replace("{}", name) for template in templates]).float(), dim=-1).mean(0)
            for name in names
        ]
    return normalize(torch.stack(rows), dim=-1)
