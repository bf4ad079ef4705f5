"""An explanation as files."""

from pathlib import Path

import numpy as np
from PIL import Image

from captum_focalogic.cli.failing import CommandError, say
from captum_focalogic.cli.models import Labels
from captum_focalogic.cli.printing import state_caption
from captum_focalogic.cli.setting import Setting
from captum_focalogic.errors import NoEngineError, RenderError
from captum_focalogic.figures.overlays import COLOUR_BLIND, PAPER, overlay, regions_image, tile
from captum_focalogic.focus import Focus
from captum_focalogic.images import open_image
from captum_focalogic.logic import count_literals, render, symbol, to_graphviz, to_networkx

_MOST_LITERALS = 300
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
    regions_image(image, setting.label_map, names=focus.names).save(folder / "regions.png")
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
    written.append(write_formula(folder, setting, focus))
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


def write_formula(folder: Path, setting: Setting, focus: Focus) -> str:
    """Draw the formula as formula.svg; as formula.dot, with a word about it, where nothing can draw.

    Returns the name of what was written.
    """
    for stale in ("formula.svg", "formula.dot"):
        (folder / stale).unlink(missing_ok=True)
    literals = count_literals(focus.expression)
    # A named region may share its name with another: with the symbol in front each is one of a kind.
    names = {region: f"{symbol(region)} {name}" for region, name in focus.names.items()}
    drawing = to_graphviz(
        to_networkx(focus.expression),
        image=np.asarray(open_image(setting.subject.image)),
        label_map=setting.label_map,
        names=names,
    )
    if literals > _MOST_LITERALS:
        say(f"note: the formula has {literals} literals, too many for a drawing to be of use; see formula.dot")
        return render(drawing, folder / "formula.dot").name
    try:
        return render(drawing, folder / "formula.svg").name
    except (NoEngineError, RenderError) as error:
        say(f"note: the formula could not be drawn: {error}")
        return "formula.dot"
