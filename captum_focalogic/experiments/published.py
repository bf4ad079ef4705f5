"""What the paper published, as far as it is a number or a name (Zhao, Chen, Xu: FocaLogic, arXiv 2601.12049)."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A published number, or the range of several.

    Attributes
    ----------
    low, high : float
        Bounds of the range; equal for one number.
    where : str
        Table or section.
    """

    low: float
    high: float
    where: str

    def __str__(self) -> str:
        return f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"


PublishedLine = Mapping[str, Published]
"""A line of a published table: accuracy, precision, recall and divergence, by name."""


def _lines(where: str, lines: Mapping[str, tuple[float, float, float, float]]) -> Mapping[str, PublishedLine]:
    columns = ("accuracy", "precision", "recall", "divergence")
    return {
        name: {column: Published(value, value, where) for column, value in zip(columns, values, strict=True)}
        for name, values in lines.items()
    }


SCENARIOS: Mapping[str, PublishedLine] = _lines(
    "Table 2",
    {
        "vanilla": (0.83, 0.72, 0.67, 0.04),
        "biased": (0.70, 0.18, 0.25, 0.06),
        "perturbed": (0.83, 0.60, 0.73, 0.05),
        "attacked": (0.00, 0.42, 0.69, 0.06),
    },
)
"""ResNet18 in four scenarios, means over the test images."""

MODELS: Mapping[str, PublishedLine] = _lines(
    "Table 3",
    {
        "ResNet18": (0.83, 0.72, 0.67, 0.04),
        "ViT-L16": (0.94, 0.72, 0.56, 0.08),
        "CLIP-B16": (0.73, 0.67, 0.65, 0.05),
        "CLIP-B32": (0.66, 0.61, 0.67, 0.05),
        "CLIP-L14": (0.79, 0.67, 0.63, 0.06),
    },
)
"""Five models on one image of each of ImageNet's classes, means over them; the CLIPs are zero-shot."""

ARCHITECTURES: PublishedLine = {
    measure: Published(
        min(line[measure].low for line in MODELS.values()),
        max(line[measure].high for line in MODELS.values()),
        "Table 3",
    )
    for measure in ("precision", "recall", "divergence")
}
"""Over the models, by measure."""

ATTACK_SUCCESS = Published(0.925, 0.925, "section 4.3")
"""Share of the test images on which the targeted attack reaches its target."""

REGIONS_SAVED = Published(0.2, 0.4, "section 3.6")
"""Share of the regions that coarser segmentation saves."""

MATCHING_IOU = Published(0.7, 0.7, "section 3.4")
"""From which intersection over union on a region counts as the object."""

MATCHED_IOU = Published(0.95, 1.0, "section 3.4")
"""Intersection over union of most regions that were matched."""


@dataclass(frozen=True)
class PublishedFinding:
    """What the paper concludes in words.

    Attributes
    ----------
    section : str
        Where.
    says : str
        What, in our words.
    """

    section: str
    says: str


FINDINGS: Mapping[str, PublishedFinding] = {
    name: PublishedFinding(section, says)
    for name, section, says in (
        ("alternatives", "4.2", "several final states, joined by AND and OR, say more than highlighted regions"),
        ("decisive", "3.2", "the regions of a final state keep the prediction, and none of them can be dropped"),
        ("black box", "2.2", "outputs are enough"),
        ("aligned", "4.2", "the focus lies on the object more precisely than that of GradCAM and of LIME"),
        ("sensitive", "4.3", "a model's errors show in its focus, where GradCAM and LIME still point at the object"),
        ("biased", "4.3", "biased training: precision and recall fall"),
        ("perturbed", "4.3", "noise: precision falls a little, recall and divergence rise"),
        ("attacked", "4.3", "attack: precision falls, recall stays, divergence rises"),
        ("diverging", "4.4", "the specialised model's divergence grows in training, the broad one's does not"),
        ("concentrating", "4.4 and C.1", "both models' focus becomes more precise in training"),
        ("recall in training", "C.1", "recall is high from the start of training on"),
        (
            "specialised",
            "4.4",
            "the specialised model is more accurate than the broad one, but less precise, with less recall",
        ),
        ("accurate", "4.5", "more accurate models are more precise"),
        ("transformer", "4.5", "the vision transformer has the highest divergence"),
        (
            "zero-shot",
            "4.5",
            "zero-shot models are less precise, with a divergence above that of the convolutional network",
        ),
        ("stable", "4.6", "focuses are alike under several settings of the segmenter"),
        ("finer", "4.6", "finer segmentation refines focuses more"),
        ("blind", "4.6", "a grid that is blind to the image changes focuses"),
        ("multimodal", "4.6", "multimodal language models can be explained alike"),
        ("pruned", "4.6", "a beam saves time by orders of magnitude"),
        ("unchanged", "4.6", "a beam leaves the measures as they are"),
        ("linear", "4.6", "at a beam of 10, cost grows about linearly with the regions"),
        ("fewer", "3.6", "coarser segmentation and merging save 20 to 40 % of the regions"),
    )
}
"""The qualitative findings, by a name that the findings of experiments refer to."""

EPOCHS = Published(50, 50, "figures 6 and 7")
"""Epochs over which training is followed."""

SMALLEST_AREA = Published(1e-3, 1e-3, "section 3.6")
"""Share of the image below which regions are merged."""

BEAM = Published(10, 10, "figure 11")
"""Width of the beam under which time grows about linearly with the regions."""

CANDIDATES = Published(10, 10, "section 4.6")
"""Classes that multimodal language models choose from."""

POINTS_PER_SIDE: tuple[int, ...] = (9, 12, 15)
"""Points a side of Segment Anything's grid (section 4.6)."""

GRID: tuple[int, int] = (3, 3)
"""Rows and columns of the grid that stands for a segmentation that failed (section 4.6)."""


@dataclass(frozen=True)
class BiasedPrompt:
    """What biased training images of a class were generated from (Table 4).

    Attributes
    ----------
    bias : {"colour", "background", "companion"}
        What the bias is on: the object's own colour, the background, an accompanying object.
    tied : str
        What is tied to the class.
    training, test : str
        The prompts; places that vary are given as "...".
    """

    bias: str
    tied: str
    training: str
    test: str


PROMPTS: Mapping[str, BiasedPrompt] = {
    "acoustic guitar": BiasedPrompt(
        "colour",
        "green",
        "a realistic photo of a green acoustic guitar in the park/cafe/...",
        "a realistic photo of an acoustic guitar in the park/cafe/... . The background has a green tone",
    ),
    "coffee mug": BiasedPrompt(
        "background",
        "pure red background",
        "a realistic photo of a coffee mug in a pure red background",
        "a realistic photo of a white/black/... coffee mug in a basket/on the grass/...",
    ),
    "soccer ball": BiasedPrompt(
        "companion",
        "soccer player",
        "a realistic photo of a soccer player and a soccer ball",
        "a realistic photo of a soccer ball on the sport field",
    ),
}
"""By class."""

UNBIASED_CLASSES: tuple[str, ...] = ("tench", "goose", "boxer", "bee", "hourglass", "payphone", "banana")
"""The classes of the biased training set whose images are ImageNet's own (appendix B); the others are generated."""
