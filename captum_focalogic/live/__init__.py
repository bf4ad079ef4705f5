"""The page of an explanation, alive: whoever reads it asks the model itself."""

from captum_focalogic.live.server import LivePage, serve

__all__ = ["LivePage", "serve"]
