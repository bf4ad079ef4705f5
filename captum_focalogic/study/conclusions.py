"""What a study found, in words, for people who have not read what its numbers mean."""

import math

from captum_focalogic.metrics import MAX_DIVERGENCE
from captum_focalogic.report.words import BEHAVIOUR_WORDS
from captum_focalogic.study.rows import MEASURES
from captum_focalogic.study.tables import Line, Mean, Summary

_FEW = 5
"""Images of a group below which it is not set against others."""


def conclusions(summary: Summary) -> list[str]:
    """Sentences about a study's means, those of its own reading, the most telling first.

    They say no more than the tables: means over the images on which a measure is defined.
    """
    if summary.reading not in summary.readings:
        return ["No image was explained."]
    whole = summary.lines[0]
    said = [_looked(summary, whole), _asked(whole)]
    if not math.isnan(_precision(summary, whole).value):
        said += [_behaviours(summary), _by_correctness(summary), _by_class(summary)]
    return [*filter(None, [*said, _unfinished(summary)])]


def _looked(summary: Summary, line: Line) -> str:
    precision, recall, divergence = (line.means[f"{summary.reading}_{name}"] for name in MEASURES)
    if not precision.count:
        count, size = (line.means[f"{summary.reading}_{name}"] for name in ("count", "size"))
        regions = line.means["num_regions"]
        return (
            f"Of {regions.value:.1f} regions {size.value:.1f} are enough for a decision, and {count.value:.1f} such "
            f"sets were found (means over {_images(count.count)}). Where the objects are is not known here, so that "
            "nothing is said about whether the model looks at them."
        )
    kind = line.behaviours[summary.reading].kind
    covers = (
        f", and it covers {_share(recall)} of the object"
        if recall.count
        else "; how much of it is covered is not known"
    )
    return (
        f"The model {BEHAVIOUR_WORDS[kind]} ({kind}): {_share(precision)} of what is enough for its decisions lies on "
        f"the object{covers}; divergence is {divergence.value:.3f}, of {MAX_DIVERGENCE:g} at most (means over "
        f"{_images(precision.count)})."
    )


def _asked(line: Line) -> str:
    accuracy = line.means["accuracy"]
    if not accuracy.count:
        return f"{_images(line.images)}, whose classes are not known."
    right = round(accuracy.value * accuracy.count)
    return f"It names the class of {right:,} of {_images(accuracy.count)} ({accuracy.value:.1%})."


def _behaviours(summary: Summary) -> str:
    counts = summary.behaviours[summary.reading]
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    return f"Image by image: {told}." if counts else ""


def _by_correctness(summary: Summary) -> str:
    right, wrong = (
        next((line for line in summary.lines if (line.grouping, line.name) == ("correct", name)), None)
        for name in ("correct", "incorrect")
    )
    if right is None or wrong is None or min(_precision(summary, line).count for line in (right, wrong)) < _FEW:
        return ""
    there, here = _precision(summary, right), _precision(summary, wrong)
    return (
        f"Where it names the class, {_share(there)} of what is enough lies on the object; where it does not, "
        f"{_share(here)}{_apart(there, here)}."
    )


def _by_class(summary: Summary) -> str:
    classes = [line for line in summary.lines if line.grouping == "class" and _precision(summary, line).count >= _FEW]
    if len(classes) < 2:
        return ""
    ranked = sorted(classes, key=lambda line: _precision(summary, line).value)
    low, high = (_precision(summary, line) for line in (ranked[0], ranked[-1]))
    if _apart(low, high):
        return ""
    return (
        f"Of {len(classes):,} classes with at least {_FEW} such images, {ranked[0].name} has the least on the object, "
        f"{_share(low)}, and {ranked[-1].name} the most, {_share(high)}."
    )


def _apart(one: Mean, other: Mean) -> str:
    """What keeps a difference from being read as one: intervals that overlap."""
    return "; the intervals overlap" if one.low <= other.high and other.low <= one.high else ""


def _unfinished(summary: Summary) -> str:
    total, finished = sum(summary.complete.values()), summary.complete.get("yes", 0)
    if finished == total:
        return ""
    return (
        f"{finished:,} of {total:,} searches found all there is to find; of the others some sets may be missing, "
        "so that their counts and divergence are those of what was found."
    )


def _precision(summary: Summary, line: Line) -> Mean:
    return line.means[f"{summary.reading}_precision"]


def _share(mean: Mean) -> str:
    interval = "" if math.isnan(mean.low) else f" [{100 * mean.low:.0f} to {100 * mean.high:.0f}]"
    return f"{mean.value:.0%}{interval}"


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"
