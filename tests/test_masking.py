"""Masked batches against torch.where on one state at a time, bit for bit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as hs
from torch import Tensor

from captum_focalogic.masking import Example, Masker
from captum_focalogic.regions import partition_from_masks

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.uint8, torch.int8, torch.int16]
DTYPES += [torch.int32, torch.int64, torch.bool, torch.complex64]


def example(inputs: list[Tensor], baselines: list[Tensor], masks: list[Tensor]) -> Example:
    partition = partition_from_masks(masks, [tensor.shape[1:] for tensor in inputs])
    return Example(tuple(inputs), tuple(baselines), partition)


def shown(source: Example, masks: list[Tensor], state: list[bool]) -> list[Tensor]:
    """One masked input a tensor, from the definition."""
    kept = {int(region) for region, keep in zip(source.partition.region_ids, state, strict=True) if keep}
    rows = []
    for row, baseline, mask in zip(source.inputs, source.baselines, masks, strict=True):
        keep = torch.tensor([int(region) in kept for region in mask.reshape(-1)]).reshape(mask.shape)
        dtype = torch.promote_types(row.dtype, baseline.dtype)
        rows.append(torch.where(keep, row.to(dtype), baseline.to(dtype)).reshape(row.shape))
    return rows


def bits(tensor: Tensor) -> bytes:
    flat = tensor.contiguous().reshape(-1)
    # NumPy has no bfloat16.
    return (flat.view(torch.int16) if tensor.dtype == torch.bfloat16 else flat).numpy().tobytes()


def all_states(num_regions: int) -> Tensor:
    return torch.tensor(
        [[bool(i >> j & 1) for j in range(num_regions)] for i in range(1 << num_regions)], dtype=torch.bool
    )


def random_values(shape: tuple[int, ...], dtype: torch.dtype, rng: np.random.Generator) -> Tensor:
    if dtype == torch.bool:
        return torch.from_numpy(np.asarray(rng.integers(0, 2, size=shape))).bool()
    if not (dtype.is_floating_point or dtype.is_complex):
        return torch.from_numpy(np.asarray(rng.integers(-100, 100, size=shape))).to(dtype)
    values = torch.from_numpy(np.asarray(rng.normal(size=shape))).to(dtype)
    if dtype.is_floating_point and values.numel():
        # What arithmetic masking would smear, and what it would normalise away.
        odd = torch.tensor([torch.inf, -torch.inf, torch.nan, -0.0, 1e-45], dtype=dtype)
        hit = torch.from_numpy(np.asarray(rng.random(shape) < 0.3))
        values = torch.where(hit, odd[torch.from_numpy(np.asarray(rng.integers(0, 5, size=shape)))], values)
    return values


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (3, 4, 4), (2, 2, 3, 2)], ids=str)
def test_every_bit_is_the_inputs_or_the_baselines(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(shape))
    row, baseline = random_values((1, *shape), dtype, rng), random_values(shape, dtype, rng)
    masks = [torch.from_numpy(np.asarray(rng.integers(-2, 2, size=shape)))]
    source = example([row], [baseline], masks)
    states = all_states(source.partition.num_regions)
    (batch,) = Masker().compose([(source, states)])
    assert batch.shape == (len(states), *shape)
    assert batch.dtype == dtype
    for given_row, state in zip(batch, states.tolist(), strict=True):
        assert bits(given_row) == bits(shown(source, masks, state)[0])


@given(hs.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_examples_with_their_own_regions_in_one_batch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = [DTYPES[i] for i in rng.integers(0, len(DTYPES) - 1, size=rng.integers(1, 4))]
    shapes = [tuple(rng.integers(1, 5, size=rng.integers(0, 4)).tolist()) for _ in kinds]
    segments, expected = [], [[] for _ in kinds]
    for _ in range(rng.integers(1, 4)):
        inputs = [random_values((1, *shape), dtype, rng) for shape, dtype in zip(shapes, kinds, strict=True)]
        baselines, masks = [], []
        for shape, dtype in zip(shapes, kinds, strict=True):
            baselines.append(random_values(_broadcast(shape, rng), dtype, rng))
            masks.append(torch.from_numpy(np.asarray(rng.integers(0, 4, size=_broadcast(shape, rng)))))
        source = example(inputs, baselines, masks)
        states = torch.from_numpy(rng.random((rng.integers(1, 5), source.partition.num_regions)) < 0.5)
        segments.append((source, states))
        for state in states.tolist():
            for rows, row in zip(expected, shown(source, masks, state), strict=True):
                rows.append(row)
    layout = [torch.preserve_format, torch.contiguous_format, torch.channels_last][rng.integers(0, 3)]
    batch = Masker().compose(segments, layout)
    for tensor, rows in zip(batch, expected, strict=True):
        assert bits(tensor) == bits(torch.cat(rows))
        assert tensor.shape == torch.cat(rows).shape


def _broadcast(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[int, ...]:
    """A shape that broadcasts to this one: some sizes 1, some leading ones left out."""
    own = tuple(size if rng.random() < 0.6 else 1 for size in shape)
    return own[rng.integers(0, len(own) + 1) :]


class TestLayout:
    def image(self, channels_last: bool) -> tuple[Example, Tensor]:
        row = torch.arange(48.0).reshape(1, 3, 4, 4)
        if channels_last:
            row = row.contiguous(memory_format=torch.channels_last)
        source = example([row], [torch.tensor(0.0)], [torch.arange(4).reshape(4, 1)])
        return source, all_states(4)

    @pytest.mark.parametrize("channels_last", [True, False])
    def test_the_inputs_own_by_default(self, channels_last: bool) -> None:
        source, states = self.image(channels_last)
        (batch,) = Masker().compose([(source, states)])
        assert batch.is_contiguous(memory_format=torch.channels_last) == channels_last
        assert batch.is_contiguous() != channels_last

    @pytest.mark.parametrize("channels_last", [True, False])
    @pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
    def test_the_one_asked_for(self, channels_last: bool, layout: torch.memory_format) -> None:
        source, states = self.image(channels_last)
        (batch,) = Masker().compose([(source, states)], layout)
        assert batch.is_contiguous(memory_format=layout)
        assert torch.equal(batch, Masker().compose([(source, states)])[0])

    def test_channels_with_regions_of_their_own(self) -> None:
        row = torch.arange(1.0, 9.0).reshape(1, 2, 2, 2)
        mask = torch.tensor([[[0, 0], [0, 1]], [[1, 1], [1, 1]]])
        source = example([row], [torch.tensor(-1.0)], [mask])
        states = torch.tensor([[True, False], [False, True]])
        for layout in (torch.contiguous_format, torch.channels_last):
            (batch,) = Masker().compose([(source, states)], layout)
            assert batch[0].flatten().tolist() == [1, 2, 3, -1, -1, -1, -1, -1]
            assert batch[1].flatten().tolist() == [-1, -1, -1, 4, 5, 6, 7, 8]

    def test_other_dimensions_have_no_such_layout(self) -> None:
        source = example([torch.ones(1, 2, 3)], [torch.tensor(0.0)], [torch.zeros(1, 1, dtype=torch.int64)])
        (batch,) = Masker().compose([(source, torch.ones(2, 1, dtype=torch.bool))], torch.channels_last)
        assert batch.is_contiguous()


def test_a_fractional_baseline_makes_whole_numbers_floats() -> None:
    source = example([torch.tensor([[3, 4]])], [torch.tensor(0.5)], [torch.tensor([0, 1])])
    (batch,) = Masker().compose([(source, torch.tensor([[True, False]]))])
    assert batch.tolist() == [[3.0, 0.5]]
    assert batch.dtype == torch.float32


def test_a_baseline_beyond_the_inputs_type_widens_it() -> None:
    source = example([torch.tensor([[3, 4]], dtype=torch.uint8)], [torch.tensor(300)], [torch.tensor([0, 1])])
    (batch,) = Masker().compose([(source, torch.tensor([[True, False]]))])
    assert batch.tolist() == [[3, 300]]


def test_a_forgetful_compositor_gives_the_same() -> None:
    rng = np.random.default_rng(0)
    sources, expected = [], []
    for _ in range(4):
        source = example(
            [torch.from_numpy(rng.normal(size=(1, 3, 5)))],
            [torch.tensor(0.0).double()],
            [torch.arange(5).reshape(1, 5)],
        )
        sources.append(source)
        expected.append(Masker().compose([(source, all_states(5))])[0])
    forgetful = Masker(memory_limit=1)
    for _ in range(2):
        for source, batch in zip(sources, expected, strict=True):
            assert torch.equal(forgetful.compose([(source, all_states(5))])[0], batch)


def test_inputs_are_read_only_and_batches_are_new() -> None:
    row, baseline = torch.ones(1, 4), torch.zeros(4)
    source = example([row], [baseline], [torch.arange(4)])
    compositor = Masker()
    (batch,) = compositor.compose([(source, all_states(4))])
    batch.fill_(7)
    assert torch.equal(row, torch.ones(1, 4))
    assert torch.equal(baseline, torch.zeros(4))
    assert torch.equal(compositor.compose([(source, all_states(4))])[0], all_states(4).float())


def test_more_than_64_regions() -> None:
    row = torch.arange(1.0, 131.0)[None]
    source = example([row], [torch.tensor(0.0)], [torch.arange(130)])
    states = torch.from_numpy(np.random.default_rng(3).random((9, 130)) < 0.5)
    (batch,) = Masker().compose([(source, states)])
    assert torch.equal(batch, torch.where(states, row, 0.0))
