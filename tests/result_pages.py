"""Put pages that ``focalogic experiment`` wrote into ``docs/results``, between the words of people.

    python tests/result_pages.py KEY=RUN/NAME.md …

A page of the documentation has what a run wrote between ``<!-- run KEY -->`` and ``<!-- end of run -->``; all else on
it was written by people and stays. The part of every KEY, on whichever page it stands, becomes the run's page: headings
go below the one that the part stands under, and the run's figure becomes ``docs/images/experiment-KEY.svg`` (or
``.png``, where the page had that one). ``tests/docs/test_results.py`` holds what such a part says.
"""

import re
import sys
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
PART = re.compile(r"<!-- run (?P<key>[\w-]+) -->\n(?P<text>.*?)<!-- end of run -->\n", re.DOTALL)
"""What a run wrote, on a page."""

FIGURE = re.compile(r"!\[(?P<title>[^]]*)\]\((?P<file>[^)]+)\.svg\)")
HEADING = re.compile(r"^(#+) ", re.MULTILINE)


def under(text: str, level: int) -> str:
    """A run's page without its title, its headings one below ``level``."""
    _, _, rest = text.partition("\n\n")
    return HEADING.sub(lambda found: "#" * (len(found[1]) - 1 + level) + " ", rest)


def placed(page: str, key: str, run: str) -> str:
    """A page with the part of this key made from a run's page.

    Raises
    ------
    ValueError
        If the page has no such part.
    """

    def part(found: re.Match[str]) -> str:
        if found["key"] != key:
            return found[0]
        levels = [len(above) for above in HEADING.findall(PART.sub("", page[: found.start()]))]
        kind = "png" if f"experiment-{key}.png" in found["text"] else "svg"
        text = FIGURE.sub(lambda figure: f"![{figure['title']}](../images/experiment-{key}.{kind})", run)
        return f"<!-- run {key} -->\n\n{under(text, levels[-1])}\n<!-- end of run -->\n"

    if key not in {found["key"] for found in PART.finditer(page)}:
        raise ValueError(f"no part for {key}")
    return PART.sub(part, page)


def main() -> None:
    """Place each run that is named."""
    for given in sys.argv[1:]:
        key, _, path = given.partition("=")
        run = Path(path)
        pages = [page for page in (DOCS / "results").glob("*.md") if f"<!-- run {key} -->" in page.read_text("utf-8")]
        if len(pages) != 1:
            sys.exit(f"{len(pages)} pages of docs/results have a part <!-- run {key} -->; expected one")
        page = placed(pages[0].read_text("utf-8"), key, run.read_text("utf-8"))
        pages[0].write_text(page, "utf-8")
        kind = "png" if f"experiment-{key}.png" in page else "svg"
        (DOCS / "images" / f"experiment-{key}.{kind}").write_bytes(run.with_suffix(f".{kind}").read_bytes())
        print(pages[0])


if __name__ == "__main__":
    main()
