"""An explanation as files."""

from pathlib import Path

import numpy as np
from PIL import Image

from captum_focalogic.cli.failing import CommandError
from captum_focalogic.cli.models import Labels
from captum_focalogic.cli.printing import state_caption
from captum_focalogic.cli.setting import Setting
from captum_focalogic.focus import Focus
from captum_focalogic.report.figures import COLOUR_BLIND, PAPER, overlay, segmentation_picture, tile

_TILE_NAME = "state-{:03d}.png"


def make_folder(folder: Path) -> Path:
    """A folder to write to, made if need be.

    Raises
    ------
    CommandError
        If it cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"the folder {folder} cannot be made: {error}") from error
    return folder


def write_all(folder: Path, setting: Setting, focus: Focus, *, most_tiles: int, colour_blind: bool) -> list[str]:
    """Write pictures, formula and focus; returns what was written, for people to read."""
    image = setting.subject.image.numpy()
    palette = COLOUR_BLIND if colour_blind else PAPER
    seen = (image, setting.label_map, focus.region_ids, focus.final_states)
    overlay(*seen, palette=palette).save(folder / "overlay.png")
    segmentation_picture(image, setting.label_map, names=focus.names).save(folder / "regions.png")
    written = [f"{folder / 'overlay.png'}", "regions.png"]
    tiles = folder / "tiles"
    tiles.mkdir(exist_ok=True)
    for stale in tiles.glob("state-*.png"):
        stale.unlink()
    count = min(most_tiles, len(focus.final_states))
    for row in range(count):
        picture = tile(*seen, row, palette=palette, caption=state_caption(focus, row))
        picture.save(tiles / _TILE_NAME.format(row + 1))
    if count:
        written.append(f"tiles/ ({count} of {len(focus.final_states)})")
    if write_labels(folder / "labels.png", setting.label_map):
        written.append("labels.png")
    written.append(write_formula(folder, focus))
    focus.save(folder / "focus.json")
    written.append("focus.json")
    return written


def write_labels(path: Path, label_map: Labels) -> bool:
    """Save a label map as a picture that --mask reads; False if its ids do not fit into one (16 bits)."""
    low, high = int(label_map.min()), int(label_map.max())
    if low < 0 or high > np.iinfo(np.uint16).max:
        path.unlink(missing_ok=True)
        return False
    Image.fromarray(label_map.astype(np.uint8 if high < 256 else np.uint16)).save(path)
    return True


def write_formula(folder: Path, focus: Focus) -> str:
    (folder / "formula.txt").write_text(f"{focus.expression}\n", encoding="utf-8")
    return "formula.txt"
