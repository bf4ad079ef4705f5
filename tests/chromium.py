"""A real browser for pages, where there is one: Chromium without a window, that asks nobody by itself."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

_PATH = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

needs_chromium = pytest.mark.skipif(_PATH is None, reason="no Chromium is installed (apt-get install chromium)")


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser, launched."""
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=_PATH, args=_FLAGS)
        yield launched
        launched.close()
