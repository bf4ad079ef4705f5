"""``focalogic logic``: what it prints is true, what it writes says the same, and bad input is one sentence."""

import json
import subprocess
import sys
from itertools import product

import pytest
from makers import one_and_another, quarter_focus, said
from PIL import Image

from captum_focalogic.logic import FORMATS, available_engines, equivalent, load_expression, parse_expression


def opened(path):
    """An image whose file is closed."""
    with Image.open(path) as image:
        return image.convert("RGB")


def test_show_prints_what_brute_force_finds(run_logic):
    out, _ = run_logic("show", "a.json")
    assert said(out, "Formula") == ["I1 & (I2 | I3)"]
    assert said(out, "In names") == ['wheel & ("car door" | sky)']
    assert said(out, "Paper style") == ["I1 & (I2 | I3)"]
    assert said(out, "OR of ANDs") == ["(I1 & I2) | (I1 & I3)"]
    assert said(out, "Smallest") == ["I1 & I2   50.0% of the image", "I1 & I3   50.0% of the image"]
    assert said(out, "Minimal") == said(out, "Smallest")
    assert said(out, "Necessary") == ["I1   25.0% of the image", "I2 & I3   50.0% of the image"]
    count = sum(one_and_another(dict(zip([1, 2, 3, 4], row, strict=True))) for row in product([False, True], repeat=4))
    assert said(out, "Region sets") == [f"{count} of 2^4 satisfy the formula, {count / 16:.2%}"]
    values = [line.split()[-4:] for line in said(out, "Values")[1:]]
    # By hand: region 1 is decisive in 4 of 6 orders of {1, 2, 3}; of its 8 sets of others 6 hold 2 or 3.
    assert values == [
        ["25.0%", "100.0%", "0.6667", "0.7500"],
        ["25.0%", "50.0%", "0.1667", "0.2500"],
        ["25.0%", "50.0%", "0.1667", "0.2500"],
        ["25.0%", "0.0%", "0.0000", "0.0000"],
    ]
    assert "no final state is missing" in "".join(said(out, "Certificate"))


def test_show_says_that_it_leaves_some_out(run_logic):
    out, _ = run_logic("show", "a.json", "--most", 1)
    assert said(out, "Minimal")[1:] == ["... and 1 more; --most prints them"]
    assert said(out, "Necessary")[1:] == ["... and more; --most prints them"]


@pytest.mark.parametrize("name", FORMATS)
def test_convert_writes_every_format_and_reads_it_back(name, run_logic, tmp_path):
    path = tmp_path / f"formula{FORMATS[name].suffixes[0]}"
    out, _ = run_logic("convert", "a.json", "--to", name, "--out", path)
    assert said(out, "Written") == [f"{path} ({name})"]
    printed, _ = run_logic("convert", "a.json", "--to", name)
    assert path.read_text().strip() == printed.strip()
    if FORMATS[name].read is not None:
        assert equivalent(load_expression(path), parse_expression("I1 & (I2 | I3)"))
        again, _ = run_logic("convert", path)
        # Two-level forms come back as they are, with their cubes as ANDs.
        assert again in ("I1 & (I2 | I3)\n", "(I1 & I2) | (I1 & I3)\n")


def test_convert_goes_by_the_ending_and_takes_styles_names_and_formulas(run_logic, tmp_path):
    out, _ = run_logic("convert", "a.json", "-o", tmp_path / "x.smt2")
    assert "(smtlib)" in out
    assert run_logic("convert", "a.json", "--style", "dnf")[0] == "(I1 & I2) | (I1 & I3)\n"
    assert run_logic("convert", "a.json", "--names")[0] == 'wheel & ("car door" | sky)\n'
    assert run_logic("convert", "I1 & ~(I2 | I3)", "--to", "latex")[0].strip().startswith(r"I_{1} \wedge \neg")


def test_compare_equivalent_formulas(run_logic, logic_files):
    quarter_focus(lambda kept: one_and_another(kept) and kept[1]).save(logic_files / "same.json")
    out, _ = run_logic("compare", "a.json", "same.json")
    assert said(out, "Equivalent") == ["yes, that is proved"]
    assert said(out, "A implies B")[0].startswith("yes")
    assert said(out, "B implies A")[0].startswith("yes")
    assert "Only" not in out


def test_compare_gives_a_set_for_each_direction(run_logic):
    out, _ = run_logic("compare", "a.json", "other.json")
    assert said(out, "Equivalent") == said(out, "A implies B") == said(out, "B implies A") == ["no"]
    assert said(out, "Only A") == ["I1 wheel & I3 car door (50.0% of the image): A holds, B does not"]
    assert said(out, "Only B") == ["I4 (25.0% of the image): B holds, A does not"]
    # a: 6 sets, other: 10 sets, one_and_another: 5 ({1,2} with anything: 4, and {1,3,4}): 1 + 5 of 16 tell them apart.
    assert said(out, "Region sets") == ["the formulas disagree on 37.50% of all"]
    out, _ = run_logic("compare", "narrow.json", "a.json")
    assert said(out, "A implies B")[0].startswith("yes")
    assert said(out, "B implies A") == ["no"]
    out, _ = run_logic("compare", "I1 & wheel", "I1")
    assert said(out, "Only B") == ["I1: B holds, A does not"]


def test_compare_draws_each_direction(run_logic, tmp_path, logic_files):
    out, _ = run_logic("compare", "a.json", "narrow.json", "--out", tmp_path / "one.png")
    assert said(out, "Written") == [str(tmp_path / "one.png")]
    one = opened(tmp_path / "one.png")
    side = one.width
    kept, dropped = one.getpixel((side // 8, side // 8)), one.getpixel((side * 7 // 8, side * 7 // 8))
    assert max(dropped) < max(kept) / 1.5, "region 1 is shown, region 4 dimmed"
    run_logic("compare", "a.json", "other.json", "--image", "picture.png", "--out", tmp_path / "two.png")
    two = opened(tmp_path / "two.png")
    assert two.width > 1.9 * one.width, "side by side"
    run_logic("compare", "a.json", "other.json", "--image", "picture.png")
    assert (logic_files / "difference.png").is_file()


@pytest.mark.skipif(not available_engines(), reason="nothing is installed that draws graphs")
@pytest.mark.parametrize("graph", ["formula", "refinement", "lattice"])
def test_draw_with_pictures(graph, run_logic, tmp_path):
    out, _ = run_logic("draw", "a.json", "--graph", graph, "-o", tmp_path / "graph.svg")
    assert said(out, "Written") == [str(tmp_path / "graph.svg")]
    text = (tmp_path / "graph.svg").read_text()
    assert "car door" in text
    assert "data:image/png;base64," in text
    run_logic("draw", "a.json", "--graph", graph, "-o", tmp_path / "graph.svg", "--plain")
    assert "data:image" not in (tmp_path / "graph.svg").read_text()
    run_logic("draw", "a.json", "--graph", graph, "-o", tmp_path / "graph.png", "--image", "picture.png")
    assert min(opened(tmp_path / "graph.png").size) > 50


def test_draw_the_source_needs_no_engine(run_logic, tmp_path, monkeypatch):
    monkeypatch.setattr("captum_focalogic.logic.drawing.available_engines", list)
    run_logic("draw", "I1 & ~(I2 | wheel)", "-o", tmp_path / "graph.dot")
    assert "wheel" in (tmp_path / "graph.dot").read_text()
    _, err = run_logic("draw", "blind.json", "-o", tmp_path / "graph.svg", code=2)
    assert "pip install 'captum-focalogic[render]'" in err
    assert not (tmp_path / "graph.svg").exists()


BAD = {
    "show nothing": (["show", "missing.json"], "missing.json cannot be read"),
    "show text": (["show", "text.json"], "text.json: a focus must be JSON"),
    "show something else": (["show", "else.json"], "else.json: a focus must be an object with its format"),
    "show damaged": (["show", "broken.json"], "broken.json: the field 'region_ids' of the focus is malformed"),
    "show an image": (["show", "picture.png"], "picture.png is not a focus"),
    "show misnamed": (["show", "misnamed.json"], "that is the symbol of region 3"),
    "convert nothing": (["convert", "missing.cnf"], "there is no file missing.cnf"),
    "convert a folder": (["convert", "."], "there is no file ."),
    "convert nonsense": (["convert", "I1 &"], "'I1 &' is neither a file nor a formula"),
    "convert a long line": (["convert", "I1 & " * 5000], "is neither a file nor a formula"),
    "convert damaged": (["convert", "bad.cnf"], "bad.cnf: "),
    "convert a damaged focus": (["convert", "broken.json"], "broken.json: the field 'region_ids' of the focus"),
    "convert text": (["convert", "text.json"], "text.json: a focus must be JSON"),
    "convert something else": (["convert", "else.json"], "else.json: expected an object whose format"),
    "convert an image": (["convert", "picture.png"], "cannot tell the format of 'picture.png' from its ending"),
    "unknown format": (["convert", "a.json", "--to", "prolog"], "there is no format 'prolog'; expected one of text"),
    "unknown ending": (["convert", "a.json", "--out", "x.pl"], "the ending of x.pl says no format; add --to"),
    "style of a formula": (["convert", "I1", "--style", "dnf"], "I1 is no explanation"),
    "unknown style": (["convert", "a.json", "--style", "short"], "factored"),
    "a place that is none": (["convert", "a.json", "-o", "none/x.cnf"], "none/x.cnf cannot be written"),
    "other regions": (["compare", "a.json", "turned.json"], "a.json and turned.json are about different regions"),
    "an image of formulas": (["compare", "I1", "I2", "-o", "x.png"], "needs two explanations"),
    "an image without regions": (["compare", "blind.json", "blind.json", "-o", "x.png"], "without a label map"),
    "an image of another size": (
        ["compare", "a.json", "narrow.json", "--image", "small.png"],
        "small.png is 24x10 pixels, but the model saw 24x24 of it; leave --image out",
    ),
    "an image that is none": (["compare", "a.json", "narrow.json", "--image", "a.json"], "is no image"),
    "an image that cannot be": (["compare", "a.json", "narrow.json", "-o", "x.docx"], "x.docx cannot be written"),
    "compare one": (["compare", "a.json"], "Missing argument"),
    "draw elsewhere": (["draw", "a.json", "-o", "x.pdf"], "expected a file ending in .svg, .png or .dot"),
    "draw to nowhere": (["draw", "a.json", "-o", "none/x.dot"], "none/x.dot cannot be written"),
    "draw the search of a formula": (["draw", "I1", "-o", "x.dot", "--graph", "lattice"], "I1 is a formula"),
    "draw a formula on an image": (["draw", "I1", "-o", "x.dot", "--image", "picture.png"], "give its focus.json"),
    "draw without regions": (["draw", "blind.json", "-o", "x.dot", "--image", "picture.png"], "no label map"),
    "draw one node": (["draw", "a.json", "-o", "x.dot", "--nodes", "1"], "--nodes"),
    "an image for nobody": (["necessary", "a.json", "picture.png"], "add --model"),
    "no such model": (["necessary", "a.json", "picture.png", "-m", "models.py:nobody"], "has no 'nobody'"),
    "model of another size": (["necessary", "a.json", "small.png", "-m", "models.py:steady"], "24x24 pixels"),
    "model without an image": (["necessary", "blind.json", "-m", "demo"], "is not about one image"),
    "batch of nothing": (["necessary", "a.json", "-m", "demo", "--batch", "0"], "--batch must be auto"),
    "limit of nothing": (["necessary", "a.json", "--limit", "0"], "--limit"),
    "rules of nothing": (["rules"], "Missing argument"),
    "rules without names": (["rules", "narrow.json"], "no region of these explanations has a name"),
    "names that are missing": (["rules", "a.json", "--names", "missing.json"], "missing.json cannot be read"),
    "names that are no JSON": (["rules", "a.json", "--names", "text.json"], "text.json is not JSON"),
    "names that are a list": (["rules", "a.json", "--names", "list.json"], "must hold an object of names"),
    "names of words": (["rules", "a.json", "--names", "words.json"], "got 'one': 'wheel'"),
    "names that are numbers": (["rules", "a.json", "--names", "numbers.json"], "got '1': 5"),
    "names of others": (["rules", "a.json", "--names", "nobody.json"], "has no names for a.json"),
    "a table that is none": (["rules", "a.json", "-o", "r.xlsx"], "must end in .md, .csv or .json"),
    "support beyond all": (["rules", "a.json", "--min-support", "2"], "--min-support"),
    "unknown command": (["prove", "a.json"], "No such command 'prove'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_exit_code_2(case, run_logic):
    arguments, sentence = BAD[case]
    out, err = run_logic(*arguments, code=2)
    assert sentence in err
    assert err.startswith("focalogic: ")
    assert err.count("\n") == 1
    assert out == ""


def test_without_a_command_the_help_is_shown(run_logic):
    _, err = run_logic(code=2)
    assert err.startswith("Usage: focalogic logic")
    assert all(f"\n  {name} " in err for name in ("show", "convert", "compare", "draw", "necessary", "rules"))


def test_reading_and_converting_need_no_torch(logic_files):
    code = (
        "import json, sys\nfrom captum_focalogic.cli import main\n"
        "for command in json.loads(sys.argv[1]):\n"
        "    try:\n        main(['logic', *command])\n    except SystemExit as left:\n        assert left.code == 0\n"
        "assert 'torch' not in sys.modules\n"
    )
    commands = (
        ["show", "a.json"],
        ["convert", "a.json", "--to", "dimacs"],
        ["compare", "a.json", "narrow.json", "--out", "x.png"],
        ["necessary", "a.json"],
        ["rules", "a.json"],
        ["draw", "a.json", "--out", "x.dot"],
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(commands)], cwd=logic_files, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
