"""A model is told by its answers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from studies import GRID, patch_items, patches
from tiny_models import Brightest
from torch import Tensor

from captum_focalogic.classifier import Classifier
from captum_focalogic.errors import OtherModelError, StudyError
from captum_focalogic.study import run_study
from captum_focalogic.study.items import ModelFactory
from captum_focalogic.study.probes import answers_to, check_answers, probes

IMAGE = torch.zeros(3, 16, 24)


def test_probes_are_always_the_same_images() -> None:
    images = probes(16, 24)
    assert images.shape == (3, 3, 16, 24)
    assert torch.equal(images, probes(16, 24))
    assert 0 <= images.min() < 0.1 < 0.9 < images.max() <= 1
    assert not torch.equal(images[0], images[1])


def test_answers_are_of_every_probe() -> None:
    said = answers_to(lambda images: images.mean(dim=(2, 3)), IMAGE)
    assert said is not None
    assert said[:2] == [16, 24]
    assert said[2:] == pytest.approx(probes(16, 24).mean(dim=(2, 3)).flatten().tolist(), abs=1e-3)


def test_who_is_paid_by_the_call_is_not_asked() -> None:
    class Paid:
        billed_by_the_call = True

        def __call__(self, images: Tensor) -> Tensor:
            raise AssertionError("asked")

    assert answers_to(Paid(), IMAGE) is None


def test_answers_are_compared_within_a_size_and_a_tolerance() -> None:
    known: dict[tuple[float, ...], Any] = {}
    check_answers(known, [{"probes": [2, 2, 1.0, 3.0]}, {"probes": None}, {"error": "x"}])
    check_answers(known, [{"probes": [4, 4, 9.0, 3.0]}, {"probes": [2, 2, 1.01, 2.99]}])
    for other in ([2, 2, 1.1, 3.0], [2, 2, 1.0], [2, 2, 1.0, float("nan")]):
        with pytest.raises(OtherModelError):
            check_answers(known, [{"probes": other}])


class Edited(torch.nn.Module):
    """Weights and code stay; what is called does not."""

    sign = 1.0

    def forward(self, images: Tensor) -> Tensor:
        return Edited.sign * Brightest()(images)


def test_a_model_that_answers_otherwise_is_refused_or_explains_all_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(broken: tuple[int, ...] = (), **how: bool) -> Any:
        factory = ModelFactory(lambda: Classifier(Edited()), "one name")
        return run_study(patch_items(4, broken), factory, GRID, False, tmp_path, group=1, **how)  # type: ignore[arg-type]

    before = run(broken=(2, 3)).column("prediction").to_pylist()
    monkeypatch.setattr(Edited, "sign", -1.0)
    with pytest.raises(StudyError, match="answers otherwise"):
        run()
    assert run(retry=False).column("prediction").to_pylist() == before, "nothing was stored"
    anew = run(redo_changed=True)
    assert anew.column("error").null_count == 4
    predictions = anew.column("prediction").to_pylist()
    assert predictions == [int(Edited()(patches(number)[None]).argmax()) for number in range(4)] != before
