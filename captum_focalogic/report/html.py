"""What every page of this package shares: templates that escape, a policy that forbids requests, images as text.

A page is one file that needs nothing else. It makes no request, runs no script but its own (a Content-Security-Policy
with hashes says so to the browser), and shows names, titles and commands as text, whatever they contain.
"""

import base64
import hashlib
import io
from collections.abc import Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from captum_focalogic.images import Shrink
from captum_focalogic.search.certificate import percent

_LONGEST = 1280
_LOSSLESS = 160


def render_page(name: str, *, further: Sequence[str] = (), asks: bool = False, **values: Any) -> str:
    """A page from its template, style and script, ``NAME.html.j2``, ``NAME.css`` and, where there is one, ``NAME.js``.

    All pages begin with the style of ``page.css``.

    Parameters
    ----------
    name : str
        Of the files in ``templates``.
    further : sequence of str
        Names of further styles and scripts.
    asks : bool
        Whether the page may ask the server that it came from.
    **values
        What the template shows; escaped unless it is markup.
    """
    environment = Environment(
        loader=PackageLoader("captum_focalogic.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    style, script = ("".join(_asset(f"{one}.{ending}") for one in ("page", name, *further)) for ending in ("css", "js"))
    policy = _policy(style, script, asks)
    return environment.get_template(f"{name}.html.j2").render(
        style=Markup(style), script=Markup(script), policy=policy, **values
    )


def _asset(name: str) -> str:
    """A file beside the templates; empty where there is none."""
    file = resources.files("captum_focalogic.report").joinpath("templates", name)
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _policy(style: str, script: str, asks: bool) -> str:
    """What the page may do: show images it holds, and its own style and script, known by their hashes."""
    scripts = f"script-src {_hash(script)}; " if script else ""
    connections = "connect-src 'self'; " if asks else ""
    return (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; {scripts}{connections}"
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


def data_uri(image: Image.Image, longest: int = _LONGEST) -> str:
    """An image as text: PNG where it is small, JPEG otherwise."""
    image = Shrink(longest)(image.convert("RGB"))
    stream = io.BytesIO()
    lossless = max(image.size) <= _LOSSLESS
    if lossless:
        image.save(stream, "PNG", optimize=True)
    else:
        # Not optimised: Pillow's buffer for that is too small for large, noisy images.
        image.save(stream, "JPEG", quality=88, subsampling=0)
    kind = "png" if lossless else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
