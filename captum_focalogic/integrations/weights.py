"""Weights from files, without ever unpickling code."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from captum_focalogic.errors import InputError


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict: a ``.safetensors`` file, or what ``torch.save`` wrote (loaded with ``weights_only=True``).

    A checkpoint that holds the state dict under the key ``"state_dict"`` is opened up.

    Raises
    ------
    InputError
        If the file cannot be read, or holds something else.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if Path(path).suffix == ".safetensors":
            return load_file(path)
        stored: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError) as error:
        raise InputError(f"the weights {path} cannot be read: {_first_line(error)}") from error
    except Exception as error:
        # Malformed pickles make torch raise nearly anything; and where one holds code, its message recommends
        # weights_only=False, which would run it.
        raise InputError(
            f"the weights {path} cannot be read: no file of torch.save that holds tensors only; "
            "save one with torch.save(model.state_dict(), path)"
        ) from error
    if isinstance(stored, dict) and isinstance(stored.get("state_dict"), dict):
        stored = stored["state_dict"]
    if not isinstance(stored, dict) or not stored or not all(isinstance(value, Tensor) for value in stored.values()):
        raise InputError(
            f"{path} holds no state dict (names to tensors) but a {type(stored).__name__}; save one with "
            "torch.save(model.state_dict(), path)"
        )
    return stored


def load_weights(model: nn.Module, path: str | Path) -> nn.Module:
    """Load a file's weights into a model, which is changed and returned.

    Raises
    ------
    InputError
        If the file cannot be read, or its names and shapes are not the model's.
    """
    return fit_weights(model, read_state_dict(path), path)


def fit_weights(model: nn.Module, weights: dict[str, Tensor], name: str | Path) -> nn.Module:
    """Load a state dict into a model, which is changed and returned; ``name`` is what an error calls it.

    Raises
    ------
    InputError
        If the names and shapes are not the model's.
    """
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reasons = [line.strip() for line in str(error).splitlines()[1:]] or [str(error)]
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        raise InputError(f"the weights {name} do not fit {type(model).__name__}: {reasons[0]}{more}") from error
    return model


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
