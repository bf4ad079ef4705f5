"""The experiment on language models that see: the real classes, small, and an endpoint on this machine."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from makers import draw_photos, run_command
from studies import TINY, tiny_imagenet

pytest.importorskip("transformers")
from loopback import serve

from captum_focalogic.demo.rules import CLASS_NAMES
from captum_focalogic.experiments import Embedded, mllm, run_experiment
from captum_focalogic.experiments.framework import Settings, spread
from captum_focalogic.experiments.mllm import random_chat
from captum_focalogic.experiments.scenes import scene_items
from captum_focalogic.integrations.openai import MAX_CALLS
from captum_focalogic.study import read_rows


def test_a_random_model_answers_labels_by_its_seed_and_by_the_image() -> None:
    images = torch.stack([item.read().image for item in scene_items(6)])
    answers = random_chat(CLASS_NAMES, seed=3)(images)
    assert answers.shape == (6, len(CLASS_NAMES))
    torch.testing.assert_close(answers.exp().sum(dim=1), torch.ones(6))
    assert len(answers.round(decimals=3).unique(dim=0)) == 6
    assert torch.equal(answers, random_chat(CLASS_NAMES, seed=3)(images))
    assert not torch.allclose(answers, random_chat(CLASS_NAMES, seed=4)(images))


def test_making_one_leaves_random_numbers_alone() -> None:
    torch.manual_seed(1)
    wanted = torch.rand(1)
    torch.manual_seed(1)
    random_chat(["cat", "dog"])
    assert torch.equal(torch.rand(1), wanted)


def test_the_embedded_size_runs_and_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Embedded(images=2, settings=TINY)
    outcome, _ = run_experiment("mllm", config, tmp_path)
    for name in ("random, Frugal", "random, HittingSets"):
        rows = read_rows(tmp_path / "runs" / name).to_pylist()
        assert [row["error"] for row in rows] == [None, None]
        assert all(1 <= row["evaluations"] <= 12 for row in rows)
    empty = sum(
        size == 0 for size in read_rows(tmp_path / "runs" / "random, Frugal").column("smallest_size").to_pylist()
    )
    header, (line, *_) = outcome.tables[0].header, outcome.tables[0].rows
    assert line[header.index("empty")] == f"{empty / 2:.0%}"
    assert {found.verdict for found in outcome.findings} == {"not testable here"}
    assert {found.source for found in outcome.findings} == set(mllm.EXPERIMENT.judges)
    assert "random" in outcome.findings[0].evidence
    monkeypatch.setattr(mllm, "random_chat", lambda *_: pytest.fail("everything was there"))
    again, _ = run_experiment("mllm", config, tmp_path)
    assert again.tables[0].rows == outcome.tables[0].rows


def test_questions_stay_below_what_a_command_may_ask() -> None:
    assert mllm.IMAGES * Settings().questions <= MAX_CALLS


def test_a_model_from_a_folder_is_asked_about_the_folders_classes(tmp_path: Path) -> None:
    made, weights = random_chat(["goldfish", "tench"]), tmp_path / "weights"
    made.model.save_pretrained(weights)
    made.processor.save_pretrained(weights)
    out = tmp_path / "out"
    config = tiny_imagenet(
        draw_photos(tmp_path / "data", 2),
        models=(f"chat:{weights}",),
        weights=None,
        settings=replace(TINY, questions=8),
    )
    run_experiment("mllm", config, out)
    (folder,) = (out / "runs").iterdir()
    rows = read_rows(folder).to_pylist()
    assert [row["error"] for row in rows] == [None, None]
    assert [row["label"] for row in rows] == [0, 1]  # goldfish, tench
    assert all(row["prediction"] in (0, 1) and row["evaluations"] <= 8 for row in rows)


def test_an_endpoint_is_asked_and_what_it_said_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("FOCALOGIC_CACHE", str(tmp_path / "cache"))
    data = draw_photos(tmp_path / "data", 2, ("red", "blue"))
    options = ("--size", "imagenet", "--data", data, "--model", "openai:m@red,green,blue", "--segmenter", "grid:2x2")
    options += ("--truth", "none", "--out", tmp_path / "out", "--no-progress")
    with serve() as (endpoint, address):
        monkeypatch.setenv("OPENAI_BASE_URL", address)
        assert run_command("experiment", "mllm", *options) == 0
        asked = len(endpoint.requests)
        assert run_command("experiment", "mllm", *options) == 0
        assert len(endpoint.requests) == asked <= 2 * 10
    rows = read_rows(tmp_path / "out" / "runs" / "openai m").to_pylist()
    assert [row["error"] for row in rows] == [None, None]
    assert all(not math.isnan(row["irreducible_size"]) for row in rows)


def test_many_images_are_thinned_evenly() -> None:
    items = scene_items(30)
    assert [item.id for item in spread(items, mllm.IMAGES)] == [f"scene-{place * 30 // 12}" for place in range(12)]
    assert spread(items[:3], mllm.IMAGES) == items[:3]
