"""An explanation as text on standard output."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from captum_focalogic.cli.facts import print_facts, state_text
from captum_focalogic.cli.setting import Setting, class_text, describe
from captum_focalogic.focus import Focus
from captum_focalogic.logic import difference, symbol
from captum_focalogic.search import states as st
from captum_focalogic.search.record import Record

__all__ = ["print_facts", "print_focus", "scores_of", "state_caption", "state_text"]


def print_focus(setting: Setting, focus: Focus, answer: Tensor, most_states: int) -> None:
    """Prediction, formula, final states (smallest first) and certificate."""
    height, width = setting.label_map.shape
    facts = {
        "Picture": f"{setting.subject.title}, {width}x{height} as the model sees it",
        "Model": f"{setting.model.name} on {setting.device}",
        "Prediction": describe(setting, answer),
    }
    if focus.target is not None and answer.dim() == 1 and answer.numel() > 1 and focus.target != int(answer.argmax()):
        facts["Explained"] = class_text(setting, focus.target)
    facts["Regions"] = _regions(focus)
    facts["Formula"] = focus.formula
    if setting.subject.scene is not None and focus.names:
        facts["Known rule"] = _compare(setting, focus)
    facts["Final states"] = _states(focus, most_states)
    facts["Certificate"] = str(focus.certificate)
    print_facts(facts)


def state_caption(focus: Focus, row: int) -> str:
    """A final state's regions, their share of the picture, and how sure the model is of it."""
    state = focus.final_states[row]
    text = f"{state_text(focus, state)}   {focus.areas[state].sum():.1%} of the picture"
    score = scores_of(focus)[row]
    # Criteria on a raw score rank by that, which is no probability and may have any sign.
    return text if np.isnan(score) or not 0 <= score <= 1 else f"{text}, probability {score:.3f}"


def scores_of(focus: Focus) -> NDArray[np.float32]:
    """What the model's score was on each final state, (S,); NaN where there is none."""
    record = Record(focus.num_regions)
    record.add(focus.evaluated.packed, focus.evaluated.valid, focus.evaluated.score)
    rows = record.find(st.pack(focus.final_states))
    return np.where(rows < 0, np.float32(np.nan), record.score(np.maximum(rows, 0)))


def _regions(focus: Focus) -> str:
    if not focus.names:
        return str(focus.num_regions)
    named = ", ".join(f"{symbol(region)} {name}" for region, name in sorted(focus.names.items()))
    others = focus.num_regions - len(focus.names)
    return f"{focus.num_regions}: {named}" + (f"; the other {others} are background" if others else "")


def _compare(setting: Setting, focus: Focus) -> str:
    scene = setting.subject.scene
    if scene is None or not isinstance(focus.target, int):
        return "not compared"
    rule = scene.rule_of(focus.target)
    apart = difference(focus.expression, rule)
    if apart is None:
        return f"{rule}: the formula is equivalent to it"
    kept = " & ".join(str(symbol(int(region))) for region in sorted(apart, key=int)) or "no region"
    return f"{rule}: the formula DIFFERS, for instance on {kept}"


def _states(focus: Focus, most: int) -> str:
    count = len(focus.final_states)
    if not count:
        return f"none ({focus.reading})"
    sizes = focus.final_states.sum(axis=1)
    smallest = int((sizes == sizes.min()).sum())
    least = "the empty one" if not sizes.min() else f"the smallest, of {int(sizes.min())} region(s)"
    lines = [f"{count} {focus.reading}; {least}:"]
    captions = [f"  {state_caption(focus, row)}" for row in range(min(count, most))]
    lines.extend(captions[:smallest])
    if count > smallest and len(captions) > smallest:
        lines.append(f"and the rest, of up to {int(sizes.max())} regions:")
        lines.extend(captions[smallest:])
    if count > len(captions):
        lines.append(f"  ... and {count - len(captions):,} more, all in focus.json")
    return "\n".join(lines)
