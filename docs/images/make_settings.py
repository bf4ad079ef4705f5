"""Measures what settings change on the photographs of the gallery: makes the tables of ../settings.md and settings/.

Needs the extra imagenet. What is printed goes into the page, whose text is written by hand: read it again after a run.
"""

from pathlib import Path

import torch
from make_gallery import PHOTOS

from captum_focalogic import FocaLogic, explain_image
from captum_focalogic.classifier import find_classifier
from captum_focalogic.focus import Focus
from captum_focalogic.images import open_image
from captum_focalogic.search.certificate import percent

HERE = Path(__file__).parent
SHOWN = "coffee"
COUNTS = (6, 12, 24, 40)
WAYS = {"mean": "top1+0.5", "black": "top1+0.5", "mean, class alone": "top1"}


def told(focus: Focus) -> str:
    """The strongest set's regions, area and probability, the number of sets, and evaluations."""
    if not len(focus.final_states):
        return "nothing"
    place = focus.strongest[0]
    state, kept = focus.final_states[place], focus.probabilities[place]
    proved = "" if focus.certificate.smallest == "all" else f", {focus.certificate.smallest}"
    return (
        f"{state.sum()} of {percent(float(focus.areas[state].sum()))}, {kept:.2f}; "
        f"{len(focus.final_states)}{proved}; {focus.certificate.evaluations}"
    )


def main() -> None:
    """Pictures of one photograph in several numbers of regions, and a table of all photographs."""
    (HERE / "settings").mkdir(exist_ok=True)
    for count in COUNTS:
        answer = explain_image("efficientnet-lite0", PHOTOS[SHOWN].load(), segmenter=f"slic:{count}")
        answer.headline().convert("RGB").save(HERE / "settings" / f"regions-{count}.jpg", quality=85, optimize=True)
        print(f"{count} regions: {told(answer.focus)}\n{answer}\n", flush=True)
    classifier = find_classifier("efficientnet-lite0")
    print(f"| photograph | {' | '.join(WAYS)} |\n|{'---|' * (len(WAYS) + 1)}")
    for photo in PHOTOS.values():
        inputs = classifier.preprocess(open_image(photo.load()))[None]
        cells = []
        for way, criterion in WAYS.items():
            explainer = FocaLogic(classifier.forward, segmenter="slic:12", criterion=criterion, max_evaluations=1_000)
            with torch.inference_mode():
                target = int(classifier.forward(inputs).argmax())
            how = {"baselines": way.partition(",")[0], "target": target, "perturbations_per_eval": 16}
            cells.append(told(explainer.explain(inputs, **how)[0]))
        print(f"| {photo.title} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
