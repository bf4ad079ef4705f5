"""``focalogic logic necessary`` and ``rules``: by the formula and by the model, and in every form of table."""

import csv
import json

from makers import said


def test_necessary_by_the_formula(run_logic):
    out, _ = run_logic("necessary", "a.json")
    assert said(out, "Without") == ["I1       25.0% of the image", "I2 & I3  50.0% of the image"]
    assert "asks the model" in said(out, "Necessary")[0]
    out, err = run_logic("necessary", "a.json", "--limit", 1)
    assert len(said(out, "Without")) == 1
    assert "warning" in err


def test_necessary_by_the_model(run_logic):
    out, _ = run_logic("necessary", "a.json", "picture.png", "--model", "models.py:steady")
    assert all(line.endswith("% of the image   confirmed") for line in said(out, "Without"))
    assert said(out, "Necessary") == ["2 minimal set(s) defeat the formula; the model confirms 2"]
    out, _ = run_logic("necessary", "a.json", "picture.png", "--model", "models.py:moody")
    first, second = said(out, "Without")
    assert first.endswith("NOT confirmed: the model keeps its prediction")
    assert second.endswith("   confirmed")


def test_rules_with_one_map_for_all(run_logic, logic_files, tmp_path):
    (logic_files / "names.json").write_text(json.dumps({"1": "wheel", "2": "sky", "3": "sky", "4": "road"}))
    out, _ = run_logic(
        "rules", "a.json", "narrow.json", "other.json", "--names", "names.json", "-o", tmp_path / "r.csv"
    )
    # {wheel, sky} is enough in all three, {road} in the last alone, which is explained already.
    assert said(out, "Formula") == ["sky & wheel"]
    assert said(out, "Rules")[1].split() == ["sky", "&", "wheel", "100.0%", "100.0%", "3"]
    assert said(out, "Explanations") == ["3; the rules explain 100.0% of them"]
    with open(tmp_path / "r.csv", newline="") as table:
        assert list(csv.DictReader(table)) == [
            {"rule": "sky & wheel", "support": "1.0", "confidence": "1.0", "images": "3"}
        ]


def test_rules_with_a_map_for_each_and_tables(run_logic, logic_files, tmp_path):
    maps = {"a.json": {"1": "wheel", "2": "sky"}, "other": {"4": "wheel"}}
    (logic_files / "maps.json").write_text(json.dumps(maps))
    out, _ = run_logic("rules", "a.json", "other.json", "--names", "maps.json", "-o", tmp_path / "r.md")
    assert sorted(line.split()[-1] for line in said(out, "Rules")[1:]) == ["1", "1"]
    assert (tmp_path / "r.md").read_text().startswith("| rule | support |")
    run_logic("rules", "a.json", "other.json", "--names", "maps.json", "-o", tmp_path / "r.json")
    assert {row["rule"] for row in json.loads((tmp_path / "r.json").read_text())} == {"sky & wheel", "wheel"}
    out, _ = run_logic("rules", "a.json")
    assert "wheel" in said(out, "Formula")[0]
