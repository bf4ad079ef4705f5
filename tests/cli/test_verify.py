"""``focalogic verify``: what holds, what does not, and what cannot be asked."""

from dataclasses import replace

from captum_focalogic.focus import Focus


def test_verify_confirms_the_demo(demo, run):
    out, _ = run("verify", demo[1] / "focus.json")
    assert out.count("holds:") == 21
    assert "FAILS" not in out


def test_verify_tells_a_focus_that_claims_too_much(demo, run, tmp_path):
    focus = Focus.load(demo[1] / "focus.json")
    claimed = focus.final_states.copy()
    claimed[0, focus.region_ids == 1] = False
    replace(focus, final_states=claimed).save(tmp_path / "focus.json")
    out, _ = run("verify", tmp_path / "focus.json", code=1)
    assert "FAILS: every final state keeps the prediction (1 of 2 asked again do)" in out


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


def test_verify_tells_a_file_that_was_tampered_with(demo, run, tmp_path):
    text = (demo[1] / "focus.json").read_text().replace("[\n   1,\n   3\n  ]", "[\n   3\n  ]")
    assert text != (demo[1] / "focus.json").read_text()
    (tmp_path / "focus.json").write_text(text)
    _, err = run("verify", tmp_path / "focus.json", code=2)
    assert "its checksum differs" in err
