"""``focalogic segment``: its regions are those that explain takes."""

import numpy as np
from makers import said
from PIL import Image


def test_segment_writes_regions_that_explain_takes_as_a_mask(module, red, run, tmp_path):
    out, _ = run("segment", red, "--segmenter", "grid:2x2", "--out", tmp_path / "cut")
    assert "4, with their shares of the image:" in out
    assert out.count("25.0%") == 4
    labels = np.array(Image.open(tmp_path / "cut" / "labels.png"))
    labels[labels == 2] = 200
    Image.fromarray(labels).save(tmp_path / "edited.png")
    out, _ = run(
        "explain",
        "--all",
        red,
        "--model",
        f"{module}:load",
        "--mask",
        tmp_path / "edited.png",
        "--baseline",
        "black",
        "-o",
        tmp_path / "out",
    )
    assert said(out, "Formula")[0] == "I1 & I200"
