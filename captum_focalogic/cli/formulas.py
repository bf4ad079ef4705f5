"""Stored explanations and formulas that commands read, and the image beside them. No torch here."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sympy.logic.boolalg import Boolean

from captum_focalogic.cli.errors import CommandError
from captum_focalogic.errors import InputError
from captum_focalogic.files import read_json
from captum_focalogic.focus import Focus
from captum_focalogic.images import open_image
from captum_focalogic.logic import FORMATS, Style, load_expression, name_regions, parse_expression, to_expression

_FOCUS = "captum-focalogic/focus"
_ENDINGS = {suffix for each in FORMATS.values() for suffix in each.suffixes}


@dataclass(frozen=True, eq=False)
class Formula:
    """A formula, with the explanation it is of, where it is of one.

    Attributes
    ----------
    title : str
        What was given.
    expression : sympy Boolean
        The formula.
    focus : Focus or None
        The explanation.
    """

    title: str
    expression: Boolean
    focus: Focus | None = None

    def styled(self, style: Style, named: bool) -> Boolean:
        """The formula in a style, in the regions' names where wanted.

        Raises
        ------
        InputError
            If it is of no explanation, so that there is neither, or its names cannot be used.
        """
        if self.focus is None:
            if style != "factored" or named:
                raise InputError(f"{self.title} is no explanation: a formula has one style, and no names")
            return self.expression
        expression = to_expression(self.focus.final_states, self.focus.region_ids, style)
        return name_regions(expression, self.focus.names, "apart") if named else expression


def read_focus(path: Path) -> Focus:
    """An explanation from a file.

    Raises
    ------
    FocaLogicError
        If there is no such file, or it is no explanation.
    """
    return Focus.load(path)


def read_formula(text: str) -> Formula:
    """A formula from a focus, a file in any format that can be read, or the text itself.

    Raises
    ------
    FocaLogicError
        If it is none of these.
    """
    if not os.path.isfile(text):
        if Path(text[-40:]).suffix.lower() in _ENDINGS or os.path.isdir(text):
            raise CommandError(f"there is no file {text}")
        try:
            return Formula(text, parse_expression(text))
        except InputError as error:
            raise InputError(f"{text[:60]!r} is neither a file nor a formula: {error}") from error
    path = Path(text)
    if path.suffix.lower() == ".json" and _is_focus(path):
        focus = read_focus(path)
        return Formula(text, focus.expression, focus)
    return Formula(text, load_expression(path))


def _is_focus(path: Path) -> bool:
    """Whether a JSON file is to be read as a focus; one that cannot be read is, so that the message is about that."""
    try:
        fields = read_json(path)
    except InputError:
        return True
    return not isinstance(fields, dict) or str(fields.get("format", _FOCUS)).startswith(_FOCUS)


def read_image(path: Path | None, focus: Focus) -> NDArray[np.uint8] | None:
    """The image beside a focus: from a file, or else its own; None if there is none, (H, W, 3) uint8.

    Raises
    ------
    FocaLogicError
        If the file is no image, or of another size than the focus.
    """
    if path is None:
        return focus.image
    if focus.label_map is None:
        raise InputError("--image is of no use here: the explanation has no label map")
    pixels = np.asarray(open_image(path))
    height, width = focus.label_map.shape
    if pixels.shape[:2] != (height, width):
        hint = "leave --image out, the explanation has it" if focus.image is not None else "crop or scale it"
        raise InputError(
            f"the image {path} is {pixels.shape[1]}x{pixels.shape[0]} pixels, but the model saw {width}x{height} "
            f"of it; {hint}"
        )
    return pixels
