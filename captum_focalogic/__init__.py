"""FocaLogic: an image classifier's decision, explained as Boolean logic over image regions.

The names below load on first use, so that ``import captum_focalogic.logic`` does not load torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from captum_focalogic.attributor import FocaLogic
    from captum_focalogic.focus import Focus

__version__ = "0.1.0"
__all__ = ["FocaLogic", "Focus", "__version__"]

_HOMES = {"FocaLogic": "captum_focalogic.attributor", "Focus": "captum_focalogic.focus"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
