"""FocaLogic: an image classifier's decision, explained as Boolean logic over image regions.

The names below load on first use, so that ``import captum_focalogic.logic`` does not load torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from captum_focalogic.answer import Answer, explain_image, explain_images
    from captum_focalogic.attributor import FocaLogic
    from captum_focalogic.focus import Focus
    from captum_focalogic.live import serve
    from captum_focalogic.masked_model import MaskedModel
    from captum_focalogic.summary import table

__version__ = "0.1.0"
__all__ = [
    "Answer",
    "FocaLogic",
    "Focus",
    "MaskedModel",
    "__version__",
    "explain_image",
    "explain_images",
    "serve",
    "table",
]

_HOMES = {
    "Answer": "captum_focalogic.answer",
    "FocaLogic": "captum_focalogic.attributor",
    "Focus": "captum_focalogic.focus",
    "MaskedModel": "captum_focalogic.masked_model",
    "explain_image": "captum_focalogic.answer",
    "explain_images": "captum_focalogic.answer",
    "serve": "captum_focalogic.live",
    "table": "captum_focalogic.summary",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
