"""Verdicts of a real network on all region sets of ten photographs (made by make_photo_tables.py)."""

from pathlib import Path

import numpy as np

PATH = Path(__file__).parent / "data" / "photo_tables.npz"


def load():
    """Name -> (truth table (2^M,) bool, score (2^M,) float32, areas (M,))."""
    with np.load(PATH) as stored:
        names = sorted({key.split("/")[0] for key in stored.files})
        return {
            name: (
                np.unpackbits(stored[f"{name}/valid"], count=len(stored[f"{name}/score"])).astype(bool),
                stored[f"{name}/score"].astype(np.float32),
                stored[f"{name}/areas"],
            )
            for name in names
        }
