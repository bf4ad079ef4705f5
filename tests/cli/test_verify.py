"""``focalogic verify``: what holds, what does not, and what cannot be asked."""

from dataclasses import replace

from captum_focalogic.focus import Focus


def test_verify_confirms_the_demo(demo, run):
    out, _ = run("verify", demo[1] / "focus.json")
    assert out.count("holds:") == 31
    assert "FAILS" not in out


def test_verify_tells_a_focus_that_claims_too_much(demo, run, tmp_path):
    focus = Focus.load(demo[1] / "focus.json")
    claimed = focus.final_states.copy()
    claimed[0, focus.region_ids == 1], claimed[0, focus.region_ids == 9] = False, True
    forged = replace(focus, final_states=claimed, critical=None, trust=None)
    forged.save(tmp_path / "focus.json")
    out, _ = run("verify", tmp_path / "focus.json", code=1)
    assert "FAILS: every final state keeps the prediction (1 of 2 asked again do)" in out
    replace(forged, critical=focus.critical).save(tmp_path / "focus.json")
    _, err = run("verify", tmp_path / "focus.json", code=2)
    assert "called needed that a final state does without" in err


def test_verify_needs_an_image_of_the_same_size(demo, run, red, module):
    _, err = run("verify", demo[1] / "focus.json", red, "--model", f"{module}:network", code=2)
    assert "is about an image of 96x96 pixels, but the model sees 32x32 of red.png" in err


def test_criterion_and_baseline_are_those_of_the_explanation_unless_others_are_named(run, tmp_path):
    common = ("--baseline", "white", "--criterion", "probability:0.9", "--no-progress")
    run("explain", "--model", "demo", "--out", tmp_path, *common)
    out, _ = run("verify", tmp_path / "focus.json")
    assert "FAILS" not in out
    out, _ = run("verify", tmp_path / "focus.json", "--criterion", "probability:1", code=1)
    assert "FAILS" in out


VIT = """
import torch
from torchvision.models.vision_transformer import VisionTransformer

torch.manual_seed(1)
vit = VisionTransformer(32, 8, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8, num_classes=3).eval()
for parameter in vit.parameters():
    torch.nn.init.normal_(parameter, std=0.5)
linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 3)).eval()
"""


def test_regions_are_removed_as_they_were_or_not_at_all(run, red, tmp_path):
    (tmp_path / "models.py").write_text(VIT)
    vit, linear = (f"{tmp_path / 'models.py'}:{name}" for name in ("vit", "linear"))
    written = tmp_path / "out" / "focus.json"
    options = ("--segmenter", "grid:2x2", "--no-progress", "--out", written.parent)
    out, _ = run("explain", red, "--model", vit, "--removal", "tokens", *options)
    assert "Removal      dropped regions are not filled" in out
    assert Focus.load(written).provenance.removal == "tokens"
    out, _ = run("verify", written, red)
    assert "holds: regions are removed as they were (tokens)" in out
    assert "FAILS" not in out
    _, err = run("verify", written, red, "--model", linear, code=2)
    assert "needs one vision transformer" in err
    _, err = run("explain", red, "--model", linear, "--removal", "tokens", *options, code=2)
    assert "needs one vision transformer" in err


def test_verify_tells_a_file_that_was_tampered_with(demo, run, tmp_path):
    text = (demo[1] / "focus.json").read_text().replace("[\n   1,\n   3\n  ]", "[\n   3\n  ]")
    assert text != (demo[1] / "focus.json").read_text()
    (tmp_path / "focus.json").write_text(text)
    _, err = run("verify", tmp_path / "focus.json", code=2)
    assert "its checksum differs" in err


def test_every_level_of_a_zoom_is_checked_again(run, tmp_path):
    out, _ = run("explain", "--model", "demo", "--zoom", "2", "--no-progress", "--out", tmp_path)
    assert "area by level: 9.1 %, then" in out
    focus = Focus.load(tmp_path / "focus.json")
    out, _ = run("verify", tmp_path / "focus.json")
    assert "FAILS" not in out
    for number in range(1, 1 + len(focus.zoom.levels)):
        assert f"holds: level {number}: every final state keeps the prediction under both removals" in out
    level = focus.zoom.levels[-1]
    states = level.focus.final_states.copy()
    states[0, states[0].argmax()] = False
    levels = (*focus.zoom.levels[:-1], replace(level, focus=replace(level.focus, final_states=states)))
    certificate = replace(level.focus.certificate, least=int(states.sum(axis=1).min()))
    levels = (*levels[:-1], replace(levels[-1], focus=replace(levels[-1].focus, certificate=certificate)))
    replace(focus, zoom=replace(focus.zoom, levels=levels)).save(tmp_path / "focus.json")
    out, _ = run("verify", tmp_path / "focus.json", code=1)
    assert f"FAILS: level {len(levels)}: every final state keeps the prediction under both removals" in out


def test_parts_of_a_transformer_s_patches_are_checked_again(run, red, tmp_path):
    (tmp_path / "models.py").write_text(VIT)
    written = tmp_path / "out" / "focus.json"
    options = ("--segmenter", "grid:2x2", "--criterion", "top1", "--no-progress", "--out", written.parent)
    run("explain", red, "--model", f"{tmp_path / 'models.py'}:vit", "--removal", "tokens", "--zoom", "1", *options)
    out, _ = run("verify", written, red, "--model", f"{tmp_path / 'models.py'}:vit")
    assert "FAILS" not in out
