"""Layouts: what ran, and how it says where things are."""

import torch

from captum_focalogic.layouts import channels_first, to_maps

IMAGE = torch.rand(1, 3, 16, 16)


def test_tokens_lose_what_stands_before_their_patches() -> None:
    tokens = torch.arange(2 * 11 * 3).reshape(2, 11, 3)
    maps = to_maps(tokens, (3, 3))
    assert maps.shape == (2, 3, 3, 3)
    assert torch.equal(maps[0, :, 0, 0], tokens[0, 2])
    assert torch.equal(maps[1, :, 2, 1], tokens[1, 9])
    assert torch.equal(channels_first(torch.arange(24).reshape(1, 2, 3, 4))[0, :, 1, 2], torch.tensor([20, 21, 22, 23]))
