"""What arrays hold: one name for each type that the package passes around."""

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
"""States, (N, M), True where a region is kept; masks, (K, H, W), True where the object is."""

Floats = NDArray[np.float64]
"""Shares, scores and sums."""

Labels = NDArray[np.int64]
"""A label map: the region id of every pixel, (H, W)."""

Bytes = NDArray[np.uint8]
"""An image for people, (H, W, 3)."""
