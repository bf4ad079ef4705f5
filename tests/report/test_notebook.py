"""What a notebook shows of a focus: small, without script, with every name as text."""

from html.parser import HTMLParser

import numpy as np
from makers import LABELS, focus_by, rule


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_backdropmula_and_certainty() -> None:
    shown = Tags(focus_by(rule, image=np.zeros((*LABELS.shape, 3), np.uint8))._repr_html_())
    assert "I0 & (I7 | (I_m3 & I2))" in shown.text
    assert "None is missing" in shown.text
    (image,) = [attributes for tag, attributes in shown.tags if tag == "img"]
    assert image["src"].startswith("data:image/")
    assert not any(tag in ("script", "style", "link") for tag, _ in shown.tags)


def test_names_are_text() -> None:
    shown = Tags(focus_by(rule, names={-3: "<script>alert(1)</script>"})._repr_html_())
    assert not any(tag == "script" for tag, _ in shown.tags)
    assert "I_m3 = <script>alert(1)</script>" in shown.text


def test_without_a_label_map_there_is_no_image() -> None:
    shown = Tags(focus_by(rule, label_map=None)._repr_html_())
    assert not any(tag == "img" for tag, _ in shown.tags)


def test_it_stays_small() -> None:
    focus = focus_by(lambda kept: sum(kept.values()) >= 3, image=np.zeros((*LABELS.shape, 3), np.uint8))
    assert len(focus._repr_html_()) < 400_000


def test_the_bundle_has_both_forms() -> None:
    focus = focus_by(rule)
    assert focus._repr_mimebundle_() == {"text/plain": repr(focus), "text/html": focus._repr_html_()}
