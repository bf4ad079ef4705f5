"""What the paper published, held against values typed by hand from its tables and sections."""

from pathlib import Path

from captum_focalogic.experiments import NAMES, find_experiment, published
from captum_focalogic.experiments.efficiency import prunings
from captum_focalogic.experiments.framework import ImageNet
from captum_focalogic.experiments.segmentations import embedded_segmentations, merging_steps
from captum_focalogic.regions import MIN_AREA


def numbers(lines):
    columns = ("accuracy", "precision", "recall", "divergence")
    return {name: [line[column].low for column in columns] for name, line in lines.items()}


def test_table_2() -> None:
    assert numbers(published.SCENARIOS) == {
        "vanilla": [0.83, 0.72, 0.67, 0.04],
        "biased": [0.70, 0.18, 0.25, 0.06],
        "perturbed": [0.83, 0.60, 0.73, 0.05],
        "attacked": [0.00, 0.42, 0.69, 0.06],
    }


def test_table_3_and_its_ranges() -> None:
    assert numbers(published.MODELS) == {
        "ResNet18": [0.83, 0.72, 0.67, 0.04],
        "ViT-L16": [0.94, 0.72, 0.56, 0.08],
        "CLIP-B16": [0.73, 0.67, 0.65, 0.05],
        "CLIP-B32": [0.66, 0.61, 0.67, 0.05],
        "CLIP-L14": [0.79, 0.67, 0.63, 0.06],
    }
    assert {name: str(value) for name, value in published.ARCHITECTURES.items()} == {
        "precision": "0.61 to 0.72",
        "recall": "0.56 to 0.67",
        "divergence": "0.04 to 0.08",
    }
    everything = [
        value for line in (*published.SCENARIOS.values(), *published.MODELS.values()) for value in line.values()
    ]
    assert all(value.low == value.high for value in everything)


def test_table_4() -> None:
    assert [(name, one.bias, one.tied) for name, one in published.PROMPTS.items()] == [
        ("acoustic guitar", "colour", "green"),
        ("coffee mug", "background", "pure red background"),
        ("soccer ball", "companion", "soccer player"),
    ]
    for name, one in published.PROMPTS.items():
        assert name in one.training
        assert name in one.test
        assert one.tied in one.training
    assert published.UNBIASED_CLASSES == ("tench", "goose", "boxer", "bee", "hourglass", "payphone", "banana")


def test_single_numbers() -> None:
    assert published.ATTACK_SUCCESS.low == 0.925
    assert published.MATCHING_IOU.low == 0.7
    assert (published.MATCHED_IOU.low, published.MATCHED_IOU.high) == (0.95, 1.0)
    assert (published.REGIONS_SAVED.low, published.REGIONS_SAVED.high) == (0.2, 0.4)
    assert published.EPOCHS.low == 50
    assert published.BEAM.low == 10
    assert published.CANDIDATES.low == 10
    assert published.POINTS_PER_SIDE == (9, 12, 15)
    assert published.GRID == (3, 3)
    assert published.SMALLEST_AREA.low == 0.001 == MIN_AREA


def test_the_settings_that_are_tried_are_the_papers() -> None:
    assert "grid 3x3" in [way.name for way in embedded_segmentations()]
    assert list(merging_steps("sam:vit_h"))[::2] == ["15 points a side", "9 points"]
    assert published.BEAM.low in {pruning.width for pruning in prunings()}
    assert published.EPOCHS.low == ImageNet.epochs


def test_no_finding_of_the_paper_is_left_unjudged() -> None:
    judged = {name: find_experiment(name).judges for name in NAMES}
    assert {source for sources in judged.values() for source in sources} == set(published.FINDINGS)
    assert all(judged.values())


def test_the_findings_are_those_of_sections_4_2_to_4_6_and_what_they_rest_on() -> None:
    sections = {finding.section for finding in published.FINDINGS.values()}
    assert {"4.2", "4.3", "4.4", "4.5", "4.6"} <= sections
    assert len({finding.says for finding in published.FINDINGS.values()}) == len(published.FINDINGS)


def test_the_page_of_experiments_says_where_each_finding_is_judged() -> None:
    page = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("|")]
    for name in NAMES:
        for source in find_experiment(name).judges:
            finding = published.FINDINGS[source]
            assert f"| {finding.says} | {finding.section} | [{name}](results/{name}.md) |" in lines
