"""An embedded model on scenes whose reasons are known: what the package is tried, shown and checked on.

``draw_scene`` needs no torch; ``load_model`` loads it on first use.
"""

from typing import TYPE_CHECKING, Any

from captum_focalogic.demo.scenes import Scene, SceneConfig, draw_scene

if TYPE_CHECKING:
    from captum_focalogic.demo.network import load_model

__all__ = ["Scene", "SceneConfig", "draw_scene", "load_model"]


def __getattr__(name: str) -> Any:
    if name == "load_model":
        from captum_focalogic.demo.network import load_model

        return load_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
