"""Determinism: the same question has the same answer, however it is put to the model."""

import pytest
import torch
from torch import Tensor, nn
from weighing import agree, by_shares, four_scalars, shares

from captum_focalogic import FocaLogic

PER_EVAL = [1, 2, 5, 64, "auto"]


class Interacting(nn.Module):
    """Scores that are not monotone in the regions: small whole numbers, exact in any batch."""

    def __init__(self, regions: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.linear = torch.randint(-4, 7, (3, regions), generator=generator).double()
        self.pairs = torch.randint(-3, 4, (3, regions, regions), generator=generator).double()

    def forward(self, x: Tensor) -> Tensor:
        x = x.double()
        return x @ self.linear.T + torch.einsum("ni,cij,nj->nc", x, self.pairs, x)


def final_states(explainer: FocaLogic, x: Tensor, per_eval: object) -> list[list[frozenset[int]]]:
    return [focus.region_sets() for focus in explainer.explain(x, perturbations_per_eval=per_eval)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_any_batch_size(seed: int) -> None:
    model = Interacting(7, seed)
    x = torch.randint(0, 3, (4, 7), generator=torch.Generator().manual_seed(seed)).float()
    answers = [final_states(FocaLogic(model), x, per_eval) for per_eval in PER_EVAL]
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_any_grouping_of_the_examples(seed: int) -> None:
    model = Interacting(6, seed)
    x = torch.randint(0, 3, (5, 6), generator=torch.Generator().manual_seed(seed)).float()
    together = final_states(FocaLogic(model), x, 3)
    alone = [final_states(FocaLogic(model), row[None], 3)[0] for row in x]
    shuffled = final_states(FocaLogic(model), x.flip(0), 3)
    assert together == alone == shuffled[::-1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_against_the_oracle(seed: int) -> None:
    model = Interacting(6, seed)
    x = torch.randint(1, 3, (1, 6), generator=torch.Generator().manual_seed(seed)).float()
    whole = int(model(x).argmax())

    def is_valid(kept: frozenset[int]) -> bool:
        mask = torch.tensor([float(region in kept) for region in range(6)])
        return int(model(x * mask).argmax()) == whole

    expected = shares(range(6), is_valid)
    given = by_shares(model).attribute(x, perturbations_per_eval=4)
    agree(given, (torch.tensor([[expected[region] for region in range(6)]], dtype=torch.float64),))


@pytest.mark.parametrize("search", ["auto", "exhaustive", "beam:2", "ascending", "chains", "hitting-sets"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_any_search_repeats_itself(search: str) -> None:
    reading = "minimal" if search in ("ascending", "hitting-sets") else "irreducible"
    model = Interacting(9, 1)
    x = torch.ones(2, 9)
    answers = []
    for per_eval in (1, 7, 64):
        torch.manual_seed(per_eval)
        answers.append(final_states(FocaLogic(model, search=search, reading=reading), x, per_eval))
    assert answers[0] == answers[1] == answers[2]
    assert any(answers[0])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_order_of_the_final_states() -> None:
    focus = FocaLogic(Interacting(7, 0)).explain(torch.ones(1, 7))[0]
    sizes = focus.final_states.sum(axis=1).tolist()
    assert sizes == sorted(sizes)
    again = FocaLogic(Interacting(7, 0)).explain(torch.ones(1, 7), perturbations_per_eval=1)[0]
    assert focus.final_states.tolist() == again.final_states.tolist()


def test_the_same_call_twice() -> None:
    question = four_scalars()
    explainer = FocaLogic(question.model)
    first = explainer.attribute(question.inputs[0], target=1, perturbations_per_eval="auto")
    assert torch.equal(explainer.attribute(question.inputs[0], target=1, perturbations_per_eval="auto"), first)


def test_a_model_that_sees_its_batch() -> None:
    # Normalising over the batch makes each row's answer depend on the others. Then the answer holds for the batches
    # it was found in: with one row a call, those of the row alone.
    question = four_scalars(rows=1)
    seen = []

    def forward(x: Tensor) -> Tensor:
        seen.append(len(x))
        return question.model(x) if len(x) == 1 else question.model(x).flip(1)

    assert FocaLogic(forward).explain(question.inputs[0], target=1, perturbations_per_eval=1)[0].region_sets() == [
        {0, 1},
        {0, 2},
    ]
    assert set(seen) == {1}
