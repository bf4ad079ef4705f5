"""What every page shares: what it may do, how it escapes, how it holds images and tables."""

import base64
import hashlib
import html
import io
import re

import pytest
from PIL import Image

from captum_focalogic.report.html import data_uri, render_page
from captum_focalogic.tables import Table

HOSTILE = "<script>alert(1)</script>"


def study_page() -> str:
    table = Table(("", "precision"), [(HOSTILE, "0.500 [0.400, 0.600]"), ("plain", None)], HOSTILE)
    return render_page(
        "study",
        title=HOSTILE,
        model=HOSTILE,
        found=HOSTILE,
        further_found=[HOSTILE],
        figures=[],
        mixes=[],
        behaviours=[],
        notes=[HOSTILE],
        tables=[table],
        examples=[],
        settings={HOSTILE: HOSTILE},
    )


def test_what_strangers_chose_is_text() -> None:
    page = study_page()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 10


def test_intervals_stand_apart_from_their_means() -> None:
    assert '<td data-column="precision">0.500 <small>[0.400, 0.600]</small></td>' in study_page()
    assert '<td data-column="precision">-</td>' in study_page()


def policy_of(page: str) -> str:
    return html.unescape(re.search(r'Security-Policy" content="([^"]*)"', page)[1])


def test_a_page_may_do_what_it_needs_and_no_more() -> None:
    policy = policy_of(study_page())
    assert "default-src 'none'" in policy
    assert "script-src" not in policy, "there is no script"
    assert "unsafe" not in policy
    page = render_page("report", title="none", sections=[], versions=[], live=None)
    policy = policy_of(page)
    assert "connect-src" not in policy
    served = render_page("report", asks=True, title="none", sections=[], versions=[], live=None)
    assert "connect-src 'self';" in policy_of(served)
    for tag in ("style", "script"):
        text = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[1]
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(("size", "longest", "kind"), [((40, 20), 720, "png"), ((400, 200), 300, "jpeg")])
def test_images_are_part_of_the_page(size: tuple[int, int], longest: int, kind: str) -> None:
    head, _, data = data_uri(Image.new("RGB", size, (200, 20, 20)), longest).partition(",")
    assert head == f"data:image/{kind};base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert max(image.size) == min(max(size), longest)
        assert image.getpixel((0, 0)) == pytest.approx((200, 20, 20), abs=3)
