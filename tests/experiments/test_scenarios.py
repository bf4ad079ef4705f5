"""The experiment on biased training, noise and attacks, in both sizes."""

import csv
import io
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from studies import TINY
from typer.testing import CliRunner

from captum_focalogic.cli import app
from captum_focalogic.errors import InputError
from captum_focalogic.experiments import Embedded, ImageNet, framework, perturbations, run_experiment, scenes
from captum_focalogic.experiments.findings import falls
from captum_focalogic.experiments.framework import MissingResult, Result, Workspace, attempted
from captum_focalogic.experiments.scenarios import CLAIMS, EXPERIMENT, SCENES, finding_of
from captum_focalogic.study import read_rows

SMALL = Embedded(images=10, scenes=256, epochs=1, settings=TINY)


BIASED = ("biased-colour", "biased-background", "biased-companion")


CLASSES = ("canoe", "teapot")


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedded")
    return folder, *run_experiment("scenarios", SMALL, folder)


def column(rows, name):
    return np.array([np.nan if value is None else value for value in rows.column(name).to_pylist()], dtype=float)


def test_every_finding_is_tested_on_the_rows(embedded):
    folder, outcome, _ = embedded
    assert len(outcome.findings) == 2 * len(CLAIMS) == 24
    assert {found.source for found in outcome.findings} == set(EXPERIMENT.judges)
    runs = {path.name: read_rows(path) for path in (folder / "runs").iterdir()}
    measured = 0
    for finding, (condition, measure, says, _) in zip(
        outcome.findings, [claim for claim in CLAIMS for _ in range(2)], strict=True
    ):
        assert finding.claim == says
        if condition not in runs:
            assert finding.verdict == "not testable here"
            continue
        second = dict(
            zip(
                runs[condition].column("id").to_pylist(),
                column(runs[condition], f"{finding.reading}_{measure}"),
                strict=True,
            )
        )
        first = column(runs["vanilla"], f"{finding.reading}_{measure}")
        apart = [
            second[name] - value
            for name, value in zip(runs["vanilla"].column("id").to_pylist(), first, strict=True)
            if name in second
        ]
        apart = [value for value in apart if not np.isnan(value)]
        if len(apart) < 10:
            assert finding.verdict == "not testable here"
        else:
            measured += 1
            assert float(finding.evidence.split()[0]) == pytest.approx(np.mean(apart), abs=6e-4)
            assert finding.evidence.endswith(f"{len(apart)} images")
    assert measured > 4


def test_all_arms_explain_the_same_unbiased_scenes(embedded):
    folder, _, _ = embedded
    vanilla = read_rows(folder / "runs" / "vanilla")
    for name in (*BIASED, "perturbed"):
        rows = read_rows(folder / "runs" / name)
        for same in ("id", "label", "num_regions"):
            assert rows.column(same).to_pylist() == vanilla.column(same).to_pylist()
    # noise keeps the prediction
    perturbed = read_rows(folder / "runs" / "perturbed")
    assert perturbed.column("prediction").to_pylist() == vanilla.column("prediction").to_pylist()


def test_an_attack_changes_the_prediction_and_aims_at_no_empty_explanation(embedded):
    folder, outcome, _ = embedded
    text = " ".join(map(" ".join, outcome.tables[0].rows))
    if not (folder / "runs" / "attacked").is_dir():
        assert "attacked" not in text
        return
    before = read_rows(folder / "runs" / "vanilla")
    known = dict(zip(before.column("id").to_pylist(), before.column("prediction").to_pylist(), strict=True))
    after = read_rows(folder / "runs" / "attacked")
    assert len(after) >= 1
    for name, prediction in zip(after.column("id").to_pylist(), after.column("prediction").to_pylist(), strict=True):
        assert prediction in (1, 2)
        assert prediction != known[name]


def test_the_page_shows_table_figure_findings_and_notes(embedded):
    folder, outcome, written = embedded
    assert {path.name for path in written} == {
        "scenarios.md", "scenarios.csv", "scenarios-2.csv", "scenarios.svg", "scenarios.png",
    }  # fmt: skip
    page = (folder / "scenarios.md").read_text()
    assert "# Biased, perturbed and attacked" in page
    assert "Table 2" in page
    for reading in ("irreducible", "smallest"):
        assert f"| bias on the background: recall falls | {reading} |" in page
    rows = list(csv.reader(io.StringIO((folder / "scenarios.csv").read_text())))
    conditions = [row[0] for row in rows[1:]]
    assert conditions[:10] == [name for name in (*SCENES, "perturbed") for _ in range(2)]
    assert all(0 < float(row[rows[0].index("sigma")]) <= 1 for row in rows if row[0] == "perturbed")
    assert len(outcome.notes) >= 4


def test_a_run_that_was_broken_off_goes_on_with_the_same_images(embedded, tmp_path, monkeypatch):
    whole, _, _ = embedded
    folder = tmp_path / "again"
    shutil.copytree(whole, folder)
    for name in ("perturbed", "attacked"):
        shutil.rmtree(folder / "runs" / name, ignore_errors=True)
    for path in folder.glob("scenarios*"):
        path.unlink()

    def refuse(*_, **__):
        raise AssertionError("made again")

    for module, name in ((perturbations, "largest_noise"), (perturbations, "attacked"), (scenes, "train")):
        monkeypatch.setattr(module, name, refuse)
    run_experiment("scenarios", SMALL, folder)
    for name in ("scenarios.csv", "scenarios-2.csv"):
        assert (folder / name).read_text() == (whole / name).read_text()
    # another seed is another experiment, which needs other networks
    with pytest.raises(AssertionError, match="made again"):
        run_experiment("scenarios", replace(SMALL, seed=1), folder)


def test_nothing_is_loaded_before_a_condition_is_run(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("loaded")

    for name in ("find_classifier", "data_from_text", "segmenter_from_text", "truth_from_text"):
        monkeypatch.setattr(framework, name, refuse)
    config = ImageNet("nowhere", models=("torchvision:vit_b_16",))
    assert [condition.name for condition in EXPERIMENT.conditions(config)] == ["vanilla", "perturbed", "attacked"]
    assert [condition.name for condition in EXPERIMENT.conditions(Embedded())] == [*SCENES, "perturbed", "attacked"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], ["vanilla: ", "biased-companion: ", "an accompanying object", "perturbed: ", "attacked: ", "6000 scenes"]),
        (
            ["--size", "imagenet", "--data", "nowhere"],
            ["torchvision:resnet50 on 200 images of nowhere", "attacked: "],
        ),
    ],
)
def test_a_dry_run_says_what_would_be_done(options, said, tmp_path):
    answer = CliRunner().invoke(
        app, ["experiment", "scenarios", *options, "--dry-run", "--out", str(tmp_path / "out")], env={"COLUMNS": "400"}
    )
    assert answer.exit_code == 0, answer.output
    assert all(part in answer.output for part in said), answer.output
    assert not (tmp_path / "out").exists()


def draw(folder, names, count, seed):
    """Images of classes that colours tell, with the mask of the square."""
    draws = np.random.default_rng(seed)
    for number, name in enumerate(names):
        for index in range(count):
            pixels = draws.integers(0, 120, (48, 64, 3), dtype=np.uint8)
            top, left = draws.integers(4, 24, 2)
            pixels[top : top + 20, left : left + 24, number] = 230
            mask = np.zeros((48, 64), dtype=np.uint8)
            mask[top : top + 20, left : left + 24] = 255
            for root, image in ((folder, pixels), (folder.parent / "masks", mask)):
                (root / name).mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(root / name / f"{index:04d}.png")


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """A pretrained model's path, with everything tiny: random weights, drawn images, a coarse grid."""
    folder = tmp_path_factory.mktemp("imagenet")
    draw(folder / "data" / "images", CLASSES, 1, 0)
    for number, part in enumerate(("unbiased", "colour", "background", "companion", "test"), start=1):
        draw(folder / "generated" / part, CLASSES, 1, number)
    config = ImageNet(
        str(folder / "data" / "images"),
        images=2,
        models=("torchvision:resnet18",),
        weights="random",
        segmenter="grid:1x3",
        truth=f"masks:{folder / 'data' / 'masks'}",
        generated=folder / "generated",
        epochs=1,
    )
    with pytest.warns(UserWarning, match="RANDOM"):
        outcome, written = run_experiment("scenarios", config, folder / "out")
    return folder, config, outcome, written


def test_the_imagenet_size_does_the_same_with_images_and_pretrained_models(imagenet):
    folder, _, outcome, written = imagenet
    runs = {path.name: read_rows(path) for path in (folder / "out" / "runs").iterdir()}
    assert set(runs) >= {"vanilla", "perturbed", "unbiased", *BIASED}
    for name, rows in runs.items():
        assert rows.column("error").null_count == len(rows), name
        assert set(rows.column("num_regions").to_pylist()) == {3}
        # every image has its mask
        assert not np.isnan(column(rows, "truth_area")).any(), name
    assert runs["vanilla"].column("label").to_pylist() == [472, 849]
    assert runs["biased-colour"].column("label").to_pylist() == [0, 1]
    assert runs["biased-colour"].column("id").to_pylist() == runs["unbiased"].column("id").to_pylist()
    assert runs["perturbed"].column("prediction").to_pylist() == runs["vanilla"].column("prediction").to_pylist()
    # two images are too few to decide anything
    assert {finding.verdict for finding in outcome.findings} == {"not testable here"}
    assert (folder / "out" / "scenarios.md") in written


def test_without_generated_images_biases_cannot_be_tested(tmp_path):
    draw(tmp_path / "data" / "images", ("1", "2"), 1, 0)
    truth = f"masks:{tmp_path / 'data' / 'masks'}"
    plain = ImageNet(
        str(tmp_path / "data" / "images"), images=1, models=("demo",), segmenter="grid:1x2", truth=truth, epochs=1
    )
    outcome, _ = run_experiment("scenarios", plain, tmp_path / "out")
    verdicts = {finding.claim: (finding.verdict, finding.evidence) for finding in outcome.findings}
    assert verdicts["bias on the background: recall falls"] == (
        "not testable here", "no generated images were given (--generated)",
    )  # fmt: skip
    # three classes are not ImageNet's, so that no super-category is known
    assert verdicts["attacked: recall stays"][0] == "not testable here"
    assert "super-categories" in verdicts["attacked: recall stays"][1]


def test_generated_images_have_to_be_complete(imagenet, tmp_path):
    _, config, _, _ = imagenet
    draw(tmp_path / "generated" / "unbiased", CLASSES, 1, 0)
    with pytest.raises(InputError, match="no folder colour and no folder background"):
        EXPERIMENT.conditions(ImageNet(config.data, generated=tmp_path / "generated"))
    for part in ("colour", "background", "companion"):
        draw(tmp_path / "generated" / part, CLASSES, 1, 0)
    draw(tmp_path / "generated" / "test", ("canoe", "umbrella"), 1, 0)
    conditions = EXPERIMENT.conditions(ImageNet(config.data, generated=tmp_path / "generated"))
    with pytest.raises(InputError, match=r"canoe, teapot, but .* canoe, umbrella"):
        conditions[3].run(Workspace(tmp_path / "out"))


def result(name, precisions):
    ids = [f"i{place}" for place in range(len(precisions))]
    return Result(name, pa.table({"id": ids, "smallest_precision": precisions}))


def test_biases_are_measured_against_the_network_trained_alike():
    claim = ("biased-colour", "precision", "it falls", falls)
    vanilla, unbiased = result("vanilla", [0.1] * 12), result("unbiased", [0.9] * 12)
    biased = result("biased-colour", [0.5, 0.7] * 6)
    # embedded: vanilla is trained alike, and 0.6 is above its 0.1
    assert finding_of([vanilla, biased], claim, "smallest").verdict == "not confirmed"
    # imagenet: the unbiased fine-tuning is, and 0.6 is 0.3 below its 0.9
    found = finding_of([vanilla, biased, unbiased], claim, "smallest")
    assert found.verdict == "confirmed"
    assert found.evidence.startswith("-0.300")
    assert found.evidence.endswith("12 images")


def test_perturbed_images_are_measured_against_the_unperturbed_ones_that_they_come_from():
    claim = ("attacked", "precision", "it falls", falls)
    # only the even images could be attacked; on those precision is 0.2 less, on all it would be more
    vanilla = result("vanilla", [0.8, 0.0] * 12)
    ids = [f"i{place}" for place in range(0, 24, 2)]
    attacked = Result("attacked", pa.table({"id": ids, "smallest_precision": [0.5, 0.7] * 6}))
    found = finding_of([vanilla, result("unbiased", [0.0] * 24), attacked], claim, "smallest")
    assert found.verdict == "confirmed"
    assert found.evidence.startswith("-0.200")


def test_what_could_not_be_done_is_not_testable_and_says_why():
    claim = ("attacked", "precision", "it falls", falls)
    found = finding_of([result("vanilla", [0.5] * 12), MissingResult("attacked", "no gradients")], claim, "smallest")
    assert (found.verdict, found.evidence) == ("not testable here", "no gradients")


def test_an_attempt_that_fails_is_told(tmp_path):
    condition = attempted("x", "what", lambda _: MissingResult("x", "why"))
    assert condition.run(Workspace(tmp_path)) == MissingResult("x", "why")
    assert not list(tmp_path.iterdir())
