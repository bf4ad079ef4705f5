"""Models in the forms that torch gives them, exported, compiled or in half precision; and modules are left as found."""

import copy
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from captum_focalogic import FocaLogic, explain_image
from captum_focalogic.classifier import Classifier
from captum_focalogic.errors import FocaLogicWarning
from captum_focalogic.focus import Focus
from captum_focalogic.oracle import BatchPadding

INPUTS = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(3))
MASK = (torch.arange(16)[:, None] // 8 * 2 + torch.arange(16)[None] // 8)[None, None]
IMAGE = (INPUTS[0].permute(1, 2, 0) * 255).to(torch.uint8).numpy()


def network() -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 5)
    )
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) / 3
    return model.eval()


def explained(model: Callable[..., Tensor], inputs: Tensor = INPUTS) -> list[Focus]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return FocaLogic(model, reading="irreducible").explain(inputs, feature_mask=MASK)


def states(focuses: list[Focus]) -> list[list[list[bool]]]:
    return [focus.final_states.tolist() for focus in focuses]


PLAIN = states(explained(network()))


def test_the_question_has_answers() -> None:
    assert all(found and any(0 < sum(state) < 4 for state in found) for found in PLAIN)


@pytest.mark.parametrize("rows", [1, 3, 4])
def test_what_was_exported_for_one_shape_takes_it_padded(rows: int) -> None:
    exported = torch.export.export(network(), (torch.rand(rows, 3, 16, 16),)).module()
    with pytest.raises(AssertionError, match="size"):
        explained(exported)
    assert states(explained(BatchPadding(exported, rows))) == PLAIN


def test_what_was_exported_for_any_batch_takes_any() -> None:
    rows = torch.export.Dim("rows", min=1, max=1024)
    exported = torch.export.export(network(), (torch.rand(2, 3, 16, 16),), dynamic_shapes=({0: rows},)).module()
    assert states(explained(exported)) == PLAIN


def test_an_exported_program_keeps_its_mode() -> None:
    exported = torch.export.export(network(), (torch.rand(2, 3, 16, 16),)).module()
    moved = Classifier(BatchPadding(exported, 2)).to("cpu")
    answer = explain_image(moved, IMAGE, segmenter="grid:2x2")
    assert answer.prediction is not None
    assert answer.prediction.index == int(network()(torch.from_numpy(IMAGE).permute(2, 0, 1)[None] / 255).argmax())


def test_padding_keeps_a_compiler_from_compiling_anew() -> None:
    shapes: list[tuple[int, ...]] = []

    def backend(graph: torch.fx.GraphModule, given: list[Tensor]) -> Callable[..., object]:
        shapes.extend(tuple(one.shape) for one in given if one.shape[1:] == INPUTS.shape[1:])
        return graph.forward

    torch._dynamo.reset()
    compiled = torch.compile(network(), backend=backend, dynamic=False)
    assert states(explained(BatchPadding(compiled, 4))) == PLAIN
    assert set(shapes) == {(4, 3, 16, 16)}
    assert len(shapes) <= 2  # one a memory layout, as both are tried


@pytest.mark.parametrize(
    "form",
    [
        torch.jit.script,
        nn.DataParallel,
        lambda model: lambda x: torch.func.functional_call(model, {}, (x,)),
    ],
    ids=["scripted", "replicated", "functional"],
)
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_other_forms(form: Callable[[nn.Module], Callable[..., Tensor]]) -> None:
    assert states(explained(form(network()))) == PLAIN


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_answer_as_the_model_does(dtype: torch.dtype) -> None:
    model = network().to(dtype)
    for row, focus in enumerate(explained(model, INPUTS.to(dtype))):
        for state in focus.final_states:
            kept = torch.from_numpy(state)[MASK[0]]
            masked = torch.where(kept, INPUTS[row].to(dtype), torch.zeros((), dtype=dtype))
            assert int(model(masked[None]).argmax()) == focus.target


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_ties_of_half_precision_are_named(dtype: torch.dtype) -> None:
    def model(images: Tensor) -> Tensor:
        mean = images.float().mean((1, 2, 3))
        return torch.stack([mean * 0, mean + 4, mean + 4 + 1e-4, mean], dim=1).to(images.dtype)

    name = str(dtype).removeprefix("torch.")
    with pytest.warns(FocaLogicWarning, match=f"example 1: classes 1 and 2 are both the highest in {name}"):
        (first, second) = FocaLogic(model).explain(INPUTS.to(dtype), feature_mask=MASK)
    assert (first.target, second.target) == (1, 1)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert FocaLogic(model).explain(INPUTS, feature_mask=MASK)[0].target == 2
    assert not [one for one in told if "highest" in str(one.message)]


def test_autocast_is_the_caller_s() -> None:
    seen: list[torch.dtype] = []
    model = network()
    model[-1].register_forward_hook(lambda module, given, output: seen.append(output.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        explained(model)
        assert torch.is_autocast_enabled("cpu")
    assert set(seen) == {torch.bfloat16}
    seen.clear()
    explained(model)
    assert set(seen) == {torch.float32}


@pytest.mark.parametrize("training", [False, True])
def test_a_module_is_left_as_it_was_found(training: bool) -> None:
    model = network()
    model[1].momentum = 0.0  # so that training mode itself moves nothing
    model.train(training)
    model[2].eval()
    model[0].weight.grad = torch.ones_like(model[0].weight)
    before = copy.deepcopy(model)
    inputs = INPUTS.clone().requires_grad_()
    state = torch.random.get_rng_state()
    explained(model, inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explain_image(model, IMAGE, segmenter="grid:2x2")
    for one, other in zip(model.modules(), before.modules(), strict=True):
        assert one.training == other.training
        for hooks in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks"):
            assert len(getattr(one, hooks)) == len(getattr(other, hooks)) == 0
    for one, other in zip(model.parameters(), before.parameters(), strict=True):
        assert torch.equal(one, other)
        assert one.requires_grad
    assert torch.equal(model[0].weight.grad, torch.ones_like(model[0].weight))
    assert inputs.grad is None
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.is_grad_enabled()
