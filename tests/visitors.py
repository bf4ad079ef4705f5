"""Models whose reason is known, and somebody who asks a live page as a browser would."""

import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from captum_focalogic.live.server import LivePage

NAMES = ("dark", "light", "both")


def quarters(images: Tensor) -> Tensor:
    """Class "both" where the left upper and the right lower quarter are bright, "light" where anything else is."""
    height, width = images.shape[-2] // 2, images.shape[-1] // 2
    bright = images.mean(1) > 0.5
    corner = bright[:, :height, :width].float().mean((1, 2)) * bright[:, height:, width:].float().mean((1, 2))
    light = bright.float().mean((1, 2))
    return torch.stack([0.5 - light, light, 4 * corner], dim=1) * 4


def lower(images: Tensor) -> Tensor:
    """The same names, by the lower half alone."""
    height = images.shape[-2] // 2
    lit = (images[:, :, height:].mean(1) > 0.5).float().mean((1, 2))
    return torch.stack([0.5 - lit, lit, 3 * lit], dim=1) * 4


class Gate:
    """A model that waits at a gate, and tells how often it was asked."""

    def __init__(self) -> None:
        self.open, self.calls, self.rows = threading.Event(), 0, 0
        self.open.set()

    def __call__(self, images: Tensor) -> Tensor:
        self.open.wait(20)
        self.calls, self.rows = self.calls + 1, self.rows + len(images)
        return quarters(images)


def breaks(images: Tensor) -> Tensor:
    """A model that raises where the upper half is dark."""
    if (images[:, :, : images.shape[-2] // 2].mean((1, 2, 3)) < 0.2).any():
        raise ValueError("<b>no upper half</b>")
    return quarters(images)


def picture() -> Image.Image:
    pixels = np.full((32, 32, 3), 255, dtype=np.uint8)
    pixels[::7, ::5] = 180
    return Image.fromarray(pixels)


def png(image: Image.Image) -> bytes:
    stream = BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def black() -> dict[str, Any]:
    """Quarters as regions, dropped ones black."""
    return {"segmenters": {"grid:2x2": "grid:2x2", "grid:4x4": "grid:4x4"}, "baselines": ("black", "mean")}


@dataclass
class Visitor:
    """Asks a page as its own script does, unless told otherwise."""

    page: LivePage
    here: str = ""

    @property
    def host(self) -> str:
        return self.page.url.split("/")[2]

    def get(self, path: str = "", **headers: str) -> tuple[int, str, dict[str, str]]:
        return self._send(self._address(path), None, headers)

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, text, _ = self._send(self._address(path), content, {"Origin": f"http://{self.host}", **headers})
        return status, json.loads(text)

    def enter(self) -> "Visitor":
        """Open the first page; everything after that is asked where it leads."""
        with urllib.request.urlopen(self.page.url) as answer:
            self.here = answer.geturl().rstrip("/")
        return self

    def reader(self) -> str:
        return self.here.split("/c/")[0]

    def opened(self, body: bytes, settings: dict[str, Any] | None = None, title: str = "photo.png") -> tuple[int, Any]:
        query = urllib.parse.urlencode({"settings": json.dumps(settings or {}), "title": title})
        status, said = self.post(f"{self.reader()}/open?{query}", body)
        if status == 200:
            self.here = f"http://{self.host}{said['location']}"
        return status, said

    def events(self) -> list[dict[str, Any]]:
        """All of them, to the end of the search."""
        with urllib.request.urlopen(f"{self.here}/events", timeout=60) as stream:
            lines = stream.read().decode().splitlines()
        return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]

    def _address(self, path: str) -> str:
        return path if path.startswith("http") else f"{self.here}{path}"

    def _send(self, address: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, str, dict[str, str]]:
        request = urllib.request.Request(address, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode("utf-8", "replace"), dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), dict(error.headers)
