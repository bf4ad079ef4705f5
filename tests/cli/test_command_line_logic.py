"""``focalogic logic``: what it prints is true, what it writes says the same, and bad input is one sentence."""

import csv
import json
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from makers import focus_by
from PIL import Image

from captum_focalogic.cli import main
from captum_focalogic.logic import FORMATS, available_engines, equivalent, load_expression, parse_expression

IDS = np.array([1, 2, 3, 4])
LABELS = np.repeat(np.repeat([[1, 2], [3, 4]], 12, axis=0), 12, axis=1)
PIXELS = np.dstack([LABELS * 50, 255 - LABELS * 50, np.full_like(LABELS, 90)]).astype(np.uint8)
MODEL = """
import torch


def {name}(images):
    left, right = images[:, :, :12, :12].amax((1, 2, 3)), images[:, :, :12, 12:].amax((1, 2, 3))
    below = images[:, :, 12:, :12].amax((1, 2, 3))
    return torch.stack([torch.full_like(left, 0.1), torch.minimum(left, torch.maximum(right, below))], dim=1)


def moody(images):
    # Does without the first region where all the others are there.
    answer = {name}(images)
    others = torch.stack([images[:, 0, 2, 20], images[:, 0, 20, 2], images[:, 0, 20, 20]]).amin(0)
    return torch.maximum(answer, torch.stack([torch.zeros_like(others), others], dim=1))
"""


def explained(holds, **more):
    """The focus of a model that keeps its decision where ``holds`` is true of {region id: kept}."""
    return focus_by(holds, IDS, scored=False, **{"label_map": LABELS, "image": PIXELS, "target": 1, **more})


def both(kept):
    """I1 & (I2 | I3)."""
    return kept[1] and (kept[2] or kept[3])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Explanations, an image, a model and what is none of these."""
    folder = tmp_path_factory.mktemp("logic")
    explained(both, names={1: "wheel", 2: "sky", 3: "car door"}).save(folder / "a.json")
    explained(lambda kept: kept[1] and kept[2]).save(folder / "narrow.json")
    explained(lambda kept: (kept[1] and kept[2]) or kept[4]).save(folder / "other.json")
    explained(both, label_map=np.ascontiguousarray(LABELS.T)).save(folder / "turned.json")
    explained(both, label_map=None, image=None).save(folder / "blind.json")
    explained(both, names={1: "I3"}).save(folder / "misnamed.json")
    Image.fromarray(PIXELS).save(folder / "picture.png")
    Image.fromarray(PIXELS[:10]).save(folder / "small.png")
    (folder / "models.py").write_text(MODEL.format(name="steady"))
    (folder / "broken.json").write_text('{"format": "captum-focalogic/focus/1", "region_ids": 5}')
    (folder / "text.json").write_text("nothing")
    (folder / "else.json").write_text('{"format": "something else"}')
    (folder / "bad.cnf").write_text("p cnf x")
    (folder / "list.json").write_text("[1, 2]")
    (folder / "words.json").write_text('{"one": "wheel"}')
    (folder / "numbers.json").write_text('{"1": 5}')
    (folder / "nobody.json").write_text('{"elsewhere": {"1": "wheel"}}')
    return folder


@pytest.fixture
def run(files, monkeypatch, capsys):
    """Run a command in the folder above; gives standard output and standard error."""

    def run(*arguments, code=0):
        monkeypatch.chdir(files)
        with pytest.raises(SystemExit) as left:
            main(["logic", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert left.value.code == code, err
        return out, err

    return run


def fact(out, label):
    """The lines behind a label."""
    lines = out.splitlines()
    start = next(number for number, line in enumerate(lines) if line[:13].strip() == label)
    end = next((number for number in range(start + 1, len(lines)) if lines[number][:13].strip()), len(lines))
    return [line[13:] for line in lines[start:end]]


def opened(path):
    """An image whose file is closed."""
    with Image.open(path) as image:
        return image.convert("RGB")


def test_show_prints_what_brute_force_finds(run):
    out, _ = run("show", "a.json")
    assert fact(out, "Formula") == ["I1 & (I2 | I3)"]
    assert fact(out, "In names") == ['wheel & ("car door" | sky)']
    assert fact(out, "Paper style") == ["I1 & (I2 | I3)"]
    assert fact(out, "OR of ANDs") == ["(I1 & I2) | (I1 & I3)"]
    assert fact(out, "Smallest") == ["I1 & I2   50.0% of the image", "I1 & I3   50.0% of the image"]
    assert fact(out, "Minimal") == fact(out, "Smallest")
    assert fact(out, "Necessary") == ["I1   25.0% of the image", "I2 & I3   50.0% of the image"]
    count = sum(both(dict(zip(IDS.tolist(), row, strict=True))) for row in product([False, True], repeat=4))
    assert fact(out, "Region sets") == [f"{count} of 2^4 satisfy the formula, {count / 16:.2%}"]
    values = [line.split()[-4:] for line in fact(out, "Values")[1:]]
    # By hand: region 1 is decisive in 4 of 6 orders of {1, 2, 3}; of its 8 sets of others 6 hold 2 or 3.
    assert values == [
        ["25.0%", "100.0%", "0.6667", "0.7500"],
        ["25.0%", "50.0%", "0.1667", "0.2500"],
        ["25.0%", "50.0%", "0.1667", "0.2500"],
        ["25.0%", "0.0%", "0.0000", "0.0000"],
    ]
    assert "no final state is missing" in "".join(fact(out, "Certificate"))


def test_show_says_that_it_leaves_some_out(run):
    out, _ = run("show", "a.json", "--most", 1)
    assert fact(out, "Minimal")[1:] == ["... and 1 more; --most prints them"]
    assert fact(out, "Necessary")[1:] == ["... and more; --most prints them"]


@pytest.mark.parametrize("name", FORMATS)
def test_convert_writes_every_format_and_reads_it_back(name, run, tmp_path):
    path = tmp_path / f"formula{FORMATS[name].suffixes[0]}"
    out, _ = run("convert", "a.json", "--to", name, "--out", path)
    assert fact(out, "Written") == [f"{path} ({name})"]
    printed, _ = run("convert", "a.json", "--to", name)
    assert path.read_text().strip() == printed.strip()
    if FORMATS[name].read is not None:
        assert equivalent(load_expression(path), parse_expression("I1 & (I2 | I3)"))
        again, _ = run("convert", path)
        # Two-level forms come back as they are, with their cubes as ANDs.
        assert again in ("I1 & (I2 | I3)\n", "(I1 & I2) | (I1 & I3)\n")


def test_convert_goes_by_the_ending_and_takes_styles_names_and_formulas(run, tmp_path):
    out, _ = run("convert", "a.json", "-o", tmp_path / "x.smt2")
    assert "(smtlib)" in out
    assert run("convert", "a.json", "--style", "dnf")[0] == "(I1 & I2) | (I1 & I3)\n"
    assert run("convert", "a.json", "--names")[0] == 'wheel & ("car door" | sky)\n'
    assert run("convert", "I1 & ~(I2 | I3)", "--to", "latex")[0].strip().startswith(r"I_{1} \wedge \neg")


def test_compare_equivalent_formulas(run, files):
    explained(lambda kept: both(kept) and kept[1]).save(files / "same.json")
    out, _ = run("compare", "a.json", "same.json")
    assert fact(out, "Equivalent") == ["yes, that is proved"]
    assert fact(out, "A implies B")[0].startswith("yes")
    assert fact(out, "B implies A")[0].startswith("yes")
    assert "Only" not in out


def test_compare_gives_a_set_for_each_direction(run):
    out, _ = run("compare", "a.json", "other.json")
    assert fact(out, "Equivalent") == fact(out, "A implies B") == fact(out, "B implies A") == ["no"]
    assert fact(out, "Only A") == ["I1 wheel & I3 car door (50.0% of the image): A holds, B does not"]
    assert fact(out, "Only B") == ["I4 (25.0% of the image): B holds, A does not"]
    # a: 6 sets, other: 10 sets, both: 5 ({1,2} with anything: 4, and {1,3,4}): 1 + 5 of 16 tell them apart.
    assert fact(out, "Region sets") == ["the formulas disagree on 37.50% of all"]
    out, _ = run("compare", "narrow.json", "a.json")
    assert fact(out, "A implies B")[0].startswith("yes")
    assert fact(out, "B implies A") == ["no"]
    out, _ = run("compare", "I1 & wheel", "I1")
    assert fact(out, "Only B") == ["I1: B holds, A does not"]


def test_compare_draws_each_direction(run, tmp_path, files):
    out, _ = run("compare", "a.json", "narrow.json", "--out", tmp_path / "one.png")
    assert fact(out, "Written") == [str(tmp_path / "one.png")]
    one = opened(tmp_path / "one.png")
    side = one.width
    kept, dropped = one.getpixel((side // 8, side // 8)), one.getpixel((side * 7 // 8, side * 7 // 8))
    assert max(dropped) < max(kept) / 1.5, "region 1 is shown, region 4 dimmed"
    run("compare", "a.json", "other.json", "--image", "picture.png", "--out", tmp_path / "two.png")
    two = opened(tmp_path / "two.png")
    assert two.width > 1.9 * one.width, "side by side"
    run("compare", "a.json", "other.json", "--image", "picture.png")
    assert (files / "difference.png").is_file()


@pytest.mark.skipif(not available_engines(), reason="nothing is installed that draws graphs")
@pytest.mark.parametrize("graph", ["formula", "refinement", "lattice"])
def test_draw_with_pictures(graph, run, tmp_path):
    out, _ = run("draw", "a.json", "--graph", graph, "-o", tmp_path / "graph.svg")
    assert fact(out, "Written") == [str(tmp_path / "graph.svg")]
    text = (tmp_path / "graph.svg").read_text()
    assert "car door" in text
    assert "data:image/png;base64," in text
    run("draw", "a.json", "--graph", graph, "-o", tmp_path / "graph.svg", "--plain")
    assert "data:image" not in (tmp_path / "graph.svg").read_text()
    run("draw", "a.json", "--graph", graph, "-o", tmp_path / "graph.png", "--image", "picture.png")
    assert min(opened(tmp_path / "graph.png").size) > 50


def test_draw_the_source_needs_no_engine(run, tmp_path, monkeypatch):
    monkeypatch.setattr("captum_focalogic.logic.drawing.available_engines", list)
    run("draw", "I1 & ~(I2 | wheel)", "-o", tmp_path / "graph.dot")
    assert "wheel" in (tmp_path / "graph.dot").read_text()
    _, err = run("draw", "blind.json", "-o", tmp_path / "graph.svg", code=2)
    assert "pip install 'captum-focalogic[render]'" in err
    assert not (tmp_path / "graph.svg").exists()


def test_necessary_by_the_formula(run):
    out, _ = run("necessary", "a.json")
    assert fact(out, "Without") == ["I1       25.0% of the image", "I2 & I3  50.0% of the image"]
    assert "asks the model" in fact(out, "Necessary")[0]
    out, err = run("necessary", "a.json", "--limit", 1)
    assert len(fact(out, "Without")) == 1
    assert "warning" in err


def test_necessary_by_the_model(run):
    out, _ = run("necessary", "a.json", "picture.png", "--model", "models.py:steady")
    assert all(line.endswith("% of the image   confirmed") for line in fact(out, "Without"))
    assert fact(out, "Necessary") == ["2 minimal set(s) defeat the formula; the model confirms 2"]
    out, _ = run("necessary", "a.json", "picture.png", "--model", "models.py:moody")
    first, second = fact(out, "Without")
    assert first.endswith("NOT confirmed: the model keeps its prediction")
    assert second.endswith("   confirmed")


def test_rules_with_one_map_for_all(run, files, tmp_path):
    (files / "names.json").write_text(json.dumps({"1": "wheel", "2": "sky", "3": "sky", "4": "road"}))
    out, _ = run("rules", "a.json", "narrow.json", "other.json", "--names", "names.json", "-o", tmp_path / "r.csv")
    # {wheel, sky} is enough in all three, {road} in the last alone, which is explained already.
    assert fact(out, "Formula") == ["sky & wheel"]
    assert fact(out, "Rules")[1].split() == ["sky", "&", "wheel", "100.0%", "100.0%", "3"]
    assert fact(out, "Explanations") == ["3; the rules explain 100.0% of them"]
    with open(tmp_path / "r.csv", newline="") as table:
        assert list(csv.DictReader(table)) == [
            {"rule": "sky & wheel", "support": "1.0", "confidence": "1.0", "images": "3"}
        ]


def test_rules_with_a_map_for_each_and_tables(run, files, tmp_path):
    maps = {"a.json": {"1": "wheel", "2": "sky"}, "other": {"4": "wheel"}}
    (files / "maps.json").write_text(json.dumps(maps))
    out, _ = run("rules", "a.json", "other.json", "--names", "maps.json", "-o", tmp_path / "r.md")
    assert sorted(line.split()[-1] for line in fact(out, "Rules")[1:]) == ["1", "1"]
    assert (tmp_path / "r.md").read_text().startswith("| rule | support |")
    run("rules", "a.json", "other.json", "--names", "maps.json", "-o", tmp_path / "r.json")
    assert {row["rule"] for row in json.loads((tmp_path / "r.json").read_text())} == {"sky & wheel", "wheel"}
    out, _ = run("rules", "a.json")
    assert "wheel" in fact(out, "Formula")[0]


BAD = {
    "show nothing": (["show", "missing.json"], "missing.json cannot be read"),
    "show text": (["show", "text.json"], "text.json: a focus must be JSON"),
    "show something else": (["show", "else.json"], "else.json: a focus must be an object whose format"),
    "show damaged": (["show", "broken.json"], "broken.json: a field of the focus is missing or malformed"),
    "show an image": (["show", "picture.png"], "picture.png: picture.png is not a focus"),
    "show misnamed": (["show", "misnamed.json"], "that is the symbol of region 3"),
    "convert nothing": (["convert", "missing.cnf"], "there is no file missing.cnf"),
    "convert a folder": (["convert", "."], "there is no file ."),
    "convert nonsense": (["convert", "I1 &"], "'I1 &' is neither a file nor a formula"),
    "convert a long line": (["convert", "I1 & " * 5000], "is neither a file nor a formula"),
    "convert damaged": (["convert", "bad.cnf"], "bad.cnf: "),
    "convert a damaged focus": (["convert", "broken.json"], "broken.json: a field of the focus"),
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
def test_bad_input_is_one_sentence_and_exit_code_2(case, run):
    arguments, sentence = BAD[case]
    out, err = run(*arguments, code=2)
    assert sentence in err
    assert err.startswith("focalogic: ")
    assert err.count("\n") == 1
    assert out == ""


def test_without_a_command_the_help_is_shown(run):
    _, err = run(code=2)
    assert err.startswith("Usage: focalogic logic")
    assert all(f"\n  {name} " in err for name in ("show", "convert", "compare", "draw", "necessary", "rules"))


def test_reading_and_converting_need_no_torch(files):
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
        [sys.executable, "-c", code, json.dumps(commands)], cwd=files, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
