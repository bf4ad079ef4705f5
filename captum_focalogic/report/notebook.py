"""A focus at a glance, for the output cell of a notebook: one image, the formula, what is known about it."""

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup
from PIL import Image

from captum_focalogic.figures.canvas import backdrop
from captum_focalogic.figures.overlays import overlay
from captum_focalogic.focus import Focus
from captum_focalogic.logic import symbol
from captum_focalogic.report import words
from captum_focalogic.report.html import data_uri

_LONGEST = 1200
_WIDTH = 320


def answer_html(said: Mapping[str, str], shown: Image.Image) -> str:
    """An answer's image above its lines; of the same kind as :func:`compact_html`."""
    style = "text-align:left;vertical-align:top;padding:.15em 1em .15em 0"
    rows = [
        Markup('<tr><th style="{}">{}</th><td style="{};white-space:pre-line">{}</td></tr>').format(
            style, label, style, text
        )
        for label, text in said.items()
    ]
    return str(
        Markup(
            '<div style="max-width:60em"><img alt="What is enough, and what cannot go" src="{}" '
            'style="width:100%;max-width:{}px;border-radius:6px"><table>{}</table></div>'
        ).format(data_uri(shown), shown.width, Markup("").join(rows))
    )


def compact_html(focus: Focus) -> str:
    """A fragment of HTML with no script and no style sheet, so that it fits any page; every name is escaped."""
    shown = Markup("")
    if focus.label_map is not None:
        drawn = overlay(
            np.asarray(backdrop(focus.image, focus.label_map)),
            focus.label_map,
            focus.region_ids,
            focus.final_states,
            show_ids=True,
        )
        shown = Markup(
            '<img alt="Regions of the final states" src="{}" style="width:{}px;max-width:100%;border-radius:6px">'
        ).format(data_uri(drawn, 2 * _WIDTH), _WIDTH)
    formula = focus.formula
    if len(formula) > _LONGEST:
        formula = f"{formula[:_LONGEST]} ... ({len(formula) - _LONGEST:,} characters more)"
    names = ", ".join(f"{symbol(region)} = {name}" for region, name in sorted(focus.names.items()))
    known = focus.certificate.plain()
    lines = [
        Markup('<p style="margin:0 0 .5em">{}</p>').format(words.summary(focus)),
        Markup('<p style="margin:0 0 .5em"><code style="font-size:1.05em;white-space:normal">{}</code></p>').format(
            formula
        ),
        Markup('<p style="margin:0 0 .5em;opacity:.75">{}</p>').format(names) if names else Markup(""),
        Markup(
            '<details><summary style="cursor:pointer;opacity:.75">How sure is this?</summary><ul>{}</ul></details>'
        ).format(Markup("").join(Markup("<li>{}</li>").format(statement.text) for statement in known)),
    ]
    return str(
        Markup(
            '<div style="display:flex;flex-wrap:wrap;gap:1.25em;align-items:flex-start;max-width:60em">'
            '{}<div style="flex:1 1 18em;min-width:0">{}</div></div>'
        ).format(shown, Markup("").join(lines))
    )
