"""A study as one HTML page that needs nothing else: tables, plots, and the images to look at."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from captum_focalogic.errors import MissingExtraError
from captum_focalogic.figures.plots import bars, histograms, svg_markup
from captum_focalogic.files import write_text
from captum_focalogic.metrics import BEHAVIOURS, MAX_DIVERGENCE
from captum_focalogic.study.examples import Example
from captum_focalogic.study.rows import MEASURES
from captum_focalogic.study.summary import Summary
from captum_focalogic.study.tables import remarks

if TYPE_CHECKING:
    import pyarrow as pa

_TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'">
<title>{{ title }}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
small { opacity: .75; display: block; }
svg { max-width: 100%; height: auto; background: #fff; }
ul.examples { display: flex; flex-wrap: wrap; gap: 1rem; list-style: none; padding: 0; }
ul.examples li { width: 11rem; font-size: .85rem; overflow-wrap: anywhere; }
ul.examples img { display: block; max-width: 100%; }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #e8e8e8; } a { color: #8bf; } }
</style>
</head>
<body>
<h1>{{ title }}</h1>
{% for said in remarks %}<p>{{ said }}</p>
{% endfor %}
{% for reading in summary.readings %}
<div class="wide"><table>
<caption>{{ reading }} states</caption>
<thead><tr><th scope="col">images</th><th scope="col">number</th><th scope="col">accuracy</th>
<th scope="col">states</th><th scope="col">regions each</th>
{% for measure in measures %}<th scope="col">{{ measure }}</th>{% endfor %}
<th scope="col">behaviour of the means</th></tr></thead>
<tbody>
{% for line in summary.lines %}
<tr><th scope="row">{% if line.grouping not in ("all", "correct") %}{{ line.grouping }}: {% endif %}{{ line.name }}</th>
<td>{{ line.images }}</td><td>{{ line.means["accuracy"] | number }}</td>
<td>{{ line.means[reading ~ "_count"] | number }}</td><td>{{ line.means[reading ~ "_size"] | number }}</td>
{% for measure in measures %}{% set mean = line.means[reading ~ "_" ~ measure] %}
<td>{{ mean | number }}<small>{{ mean | bounds }}</small></td>{% endfor %}
<td>{{ line.behaviours[reading].kind }}</td></tr>
{% endfor %}
</tbody></table></div>
{% endfor %}
{% for caption, plot in plots %}
<figure><figcaption>{{ caption }}</figcaption>{{ plot }}</figure>
{% endfor %}
{% if examples %}
<h2>Images to look at first: the lowest precision</h2>
<p>Marked are the smallest final states: red what all of them keep, bright what some do, dark what none does.</p>
<ul class="examples">
{% for example in examples %}
<li><a href="{{ example.link }}">
<img src="{{ example.picture }}" alt="The image with its smallest final states">{{ example.caption }}</a></li>
{% endfor %}
</ul>
{% endif %}
<h2>Settings</h2>
<div class="wide"><table>
{% for name, value in settings.items() %}<tr><th scope="row">{{ name }}</th><td>{{ value }}</td></tr>
{% endfor %}
</table></div>
</body>
</html>
"""


def write_page(
    path: Path,
    rows: "pa.Table",
    summary: Summary,
    settings: Mapping[str, Any],
    examples: Sequence[Example] = (),
    title: str = "A study with FocaLogic",
) -> Path:
    """Write the page of a study.

    Parameters
    ----------
    path : Path
        The HTML file.
    rows : pyarrow.Table
        The study's rows.
    summary : Summary
        Their means.
    settings : mapping
        What the study was made with.
    examples : sequence of Example
        Images to show.
    title : str
        The page's title.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = lambda mean: f"{mean.value:.3f}" if mean.count else "-"
    environment.filters["bounds"] = lambda mean: f"{mean.low:.3f} to {mean.high:.3f}" if mean.count > 1 else ""
    plots, said = _plots(rows, summary)
    text = environment.from_string(_TEMPLATE).render(
        title=title,
        remarks=[*remarks(summary), *said],
        summary=summary,
        measures=MEASURES,
        plots=plots,
        examples=examples,
        settings=settings,
    )
    write_text(path, text)
    return path


def _plots(rows: "pa.Table", summary: Summary) -> tuple[list[tuple[str, Markup]], list[str]]:
    """Captioned plots, and what is to be said where there are none."""
    try:
        spread = histograms(
            {
                measure: {reading: _defined(rows, f"{reading}_{measure}") for reading in summary.readings}
                for measure in MEASURES
            },
            {measure: MAX_DIVERGENCE if measure == "divergence" else 1.0 for measure in MEASURES},
        )
        drawn = [("Precision, recall and divergence of the images", Markup(svg_markup(spread)))]
        if any(summary.behaviours.values()):
            counts = {
                reading: [summary.behaviours[reading].get(name, 0) for name in BEHAVIOURS]
                for reading in summary.readings
            }
            drawn.append(("Behaviour of the images", Markup(svg_markup(bars(counts, BEHAVIOURS)))))
    except MissingExtraError as error:
        return [], [f"Without plots: {error}."]
    return drawn, []


def _defined(rows: "pa.Table", column: str) -> list[float]:
    values = rows.column(column).to_pylist()
    return [value for value in values if value is not None and not math.isnan(value)]
