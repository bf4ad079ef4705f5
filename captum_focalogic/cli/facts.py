"""Labelled lines on standard output. No torch here, so that commands without a model start at once."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from captum_focalogic.focus import Focus
from captum_focalogic.logic import symbol

_LABEL_WIDTH = 13


def print_facts(facts: Mapping[str, str]) -> None:
    """Lines of a label and what there is to say; never broken, so that they can be searched and copied."""
    console = Console(highlight=False)
    for label, said in facts.items():
        for number, line in enumerate(said.splitlines() or [""]):
            shown = label if number == 0 else ""
            console.print(Text(f"{shown:<{_LABEL_WIDTH}}", style="bold"), Text(line), sep="", soft_wrap=True)


def state_text(focus: Focus, state: NDArray[np.bool_]) -> str:
    """A state as its regions' symbols, such as ``I1 & I4``."""
    return " & ".join(str(symbol(region)) for region in focus.region_ids[state].tolist()) or "no region at all"
