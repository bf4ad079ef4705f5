"""A live page about a scene whose reason is known."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image
from visitors import NAMES, Visitor, black, quarters

from captum_focalogic.classifier import Classifier
from captum_focalogic.live.cases import Choices, Desk, Picture
from captum_focalogic.live.server import LivePage, open_page

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

Serve = Callable[..., Visitor]


@pytest.fixture
def serve_models() -> Iterator[Serve]:
    pages: list[LivePage] = []

    def serve(
        image: Image.Image | None = None, public: bool = False, token: str | None = None, **models: Any
    ) -> Visitor:
        given = {name: Classifier(model, labels=NAMES, name=name) for name, model in models.items()}
        desk = Desk(Choices(given or {"quarters": Classifier(quarters, labels=NAMES)}, **black()))
        shown = None if image is None else Picture.of(image, "scene.png")
        pages.append(open_page(desk, shown, public=public, token=token).start())
        return Visitor(pages[-1])

    yield serve
    for page in pages:
        page.stop()
