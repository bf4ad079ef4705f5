"""Segment Anything as a segmenter, by a small network with random weights."""

import numpy as np
import pytest
import segment_anything
import torch
from tiny_sam import EVERYTHING, tiny_sam
from torch import nn

from captum_focalogic import FocaLogic
from captum_focalogic.errors import FocaLogicWarning, HubError, InputError
from captum_focalogic.integrations import segment_anything as integration
from captum_focalogic.integrations.segment_anything import SamSegmenter


@pytest.fixture
def image():
    rng = np.random.default_rng(1)
    coarse = torch.from_numpy(rng.random((1, 3, 5, 6), dtype=np.float32))
    return nn.functional.interpolate(coarse, (40, 56), mode="bilinear")[0].clamp(0, 1)


def test_masks_become_a_partition(image):
    segmenter = SamSegmenter(tiny_sam(), points_per_side=3, cache=None, **EVERYTHING)
    labels = segmenter(image)
    assert labels.shape == (40, 56)
    assert labels.dtype == np.int64
    assert len(np.unique(labels)) > 2
    masks = segmenter.masks(image)
    # Every pixel belongs to the smallest mask that covers it, and to the extra region where none does.
    order = np.argsort([mask.sum() for mask in masks], kind="stable")
    covered = masks.any(axis=0)
    for label in np.unique(labels)[1:]:
        region = labels == label
        assert region.sum() >= 1e-3 * labels.size
        owners = [index for index in order if np.all(masks[index][region])]
        smaller = [index for index in order if masks[index].sum() < masks[owners[0]].sum()]
        assert owners
        assert not any(masks[index][region].all() for index in smaller)
    assert np.all(labels[~covered] == 0)


def test_points_per_side_is_the_papers_middle_grid_unless_grids_are_given():
    assert len(SamSegmenter(tiny_sam(), cache=None)._generator.point_grids[0]) == 12 * 12
    grid = np.array([[0.5, 0.5], [0.25, 0.75]])
    assert SamSegmenter(tiny_sam(), cache=None, point_grids=[grid])._generator.point_grids[0] is grid


@pytest.mark.filterwarnings("ignore:example.s. 0. the baseline alone")
def test_a_segmenter_serves_the_explainer(image):
    segmenter = SamSegmenter(tiny_sam(), points_per_side=2, cache=None, **EVERYTHING)
    model = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 3)).eval()
    focus = FocaLogic(model, segmenter=segmenter, max_evaluations=200).explain(image[None])[0]
    assert np.array_equal(focus.label_map, segmenter(image))
    assert len(focus.final_states)


def test_masks_are_kept_and_the_network_not_asked_again(image, tmp_path):
    options = {"points_per_side": 2, "cache": tmp_path, **EVERYTHING}
    labels = SamSegmenter(tiny_sam(), **options)(image)
    again = SamSegmenter(tiny_sam(), **options)
    again._generator.generate = None
    assert np.array_equal(again(image), labels)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("change", ["weights", "settings", "image"])
def test_kept_masks_are_not_taken_for_others(image, tmp_path, change):
    options = {"points_per_side": 2, "cache": tmp_path, **EVERYTHING}
    SamSegmenter(tiny_sam(), **options)(image)
    if change == "settings":
        SamSegmenter(tiny_sam(), **{**options, "points_per_side": 3})(image)
    else:
        SamSegmenter(tiny_sam(seed=int(change == "weights")), **options)(image.flip(1) if change == "image" else image)
    assert len(list(tmp_path.iterdir())) == 2


def test_no_masks_is_said_with_what_to_do(image):
    segmenter = SamSegmenter(tiny_sam(), points_per_side=2, cache=None, pred_iou_thresh=1e9)
    with pytest.warns(UserWarning, match="found no mask.*lower pred_iou_thresh"):
        labels = segmenter(image)
    assert np.array_equal(labels, np.zeros((40, 56)))


def test_masks_that_leave_one_region_are_said(image):
    segmenter = SamSegmenter(tiny_sam(), points_per_side=2, cache=None, **EVERYTHING)
    segmenter._generate = lambda pixels: np.ones((2, *pixels.shape[:2]), dtype=np.bool_)
    with pytest.warns(UserWarning, match="single region, the whole image; lower"):
        assert len(np.unique(segmenter(image))) == 1


def test_checkpoints_are_loaded_for_their_type(image, tmp_path, monkeypatch):
    monkeypatch.setitem(segment_anything.sam_model_registry, "vit_b", tiny_sam)
    path = tmp_path / "sam.pth"
    torch.save(tiny_sam(seed=3).state_dict(), path)
    options = {"points_per_side": 2, "cache": None, "device": "cpu", **EVERYTHING}
    labels = SamSegmenter(path, "vit_b", **options)(image)
    assert np.array_equal(labels, SamSegmenter(tiny_sam(seed=3), **options)(image))
    # The published types are told by their width, which this one has not.
    with pytest.raises(InputError, match="pass its model_type"):
        SamSegmenter(path)
    monkeypatch.setitem(integration._WIDTHS, 16, "vit_b")
    assert np.array_equal(SamSegmenter(str(path), **options)(image), labels)


def test_a_wrong_type_is_named_before_a_large_network_is_built(tmp_path, monkeypatch):
    monkeypatch.setitem(segment_anything.sam_model_registry, "vit_h", None)
    path = tmp_path / "sam.pth"
    torch.save({"image_encoder.pos_embed": torch.zeros(1, 64, 64, 768)}, path)
    with pytest.raises(InputError, match="checkpoint of a vit_b, not of a vit_h; pass model_type='vit_b'"):
        SamSegmenter(path, "vit_h")
    with pytest.raises(InputError, match="of a vit_b, not of a vit_h"):
        SamSegmenter(path, "default")
    with pytest.raises(InputError, match="model_type must be one of default, vit_h, vit_l, vit_b"):
        SamSegmenter(path, "vit_x")


def test_a_file_that_does_not_fit_or_exist_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(segment_anything.sam_model_registry, "vit_b", tiny_sam)
    path = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(InputError, match="do not fit Sam"):
        SamSegmenter(path, "vit_b")
    with pytest.raises(InputError, match="cannot be read"):
        SamSegmenter(tmp_path / "none.pth", "vit_b")


def test_published_weights_come_from_their_address_or_the_error_says_how_else(monkeypatch, image):
    asked = []

    def fetch(url, **options):
        asked.append((url, options["weights_only"]))
        return tiny_sam(seed=4).state_dict()

    monkeypatch.setitem(segment_anything.sam_model_registry, "vit_b", tiny_sam)
    monkeypatch.setitem(integration._WIDTHS, 16, "vit_b")
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fetch)
    options = {"points_per_side": 2, "cache": None, "device": "cpu", **EVERYTHING}
    labels = SamSegmenter("vit_b", **options)(image)
    assert asked == [(integration.CHECKPOINTS["vit_b"], True)]
    assert np.array_equal(labels, SamSegmenter(tiny_sam(seed=4), **options)(image))

    def fail(url, **options):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    with pytest.raises(HubError, match=r"no route to host.*sam_vit_b_01ec64\.pth elsewhere and give the file"):
        SamSegmenter("vit_b")


def test_unknown_options_are_refused_with_the_known_ones():
    with pytest.raises(InputError, match="no option 'points'; it has points_per_side, "):
        SamSegmenter(tiny_sam(), points=3)
    with pytest.raises(InputError, match="points_per_side must be a whole number"):
        SamSegmenter(tiny_sam(), points_per_side=0)
    with pytest.warns(UserWarning, match="output_mode is ignored"):
        SamSegmenter(tiny_sam(), cache=None, output_mode="uncompressed_rle")


@pytest.mark.parametrize("layers", [0, 1, 2])
@pytest.mark.parametrize("strict", [{"pred_iou_thresh": 1e9}, {"pred_iou_thresh": -1e9, "stability_score_thresh": 2.0}])
def test_an_image_without_masks_is_one_region_whatever_the_crops(image, layers, strict):
    segmenter = SamSegmenter(tiny_sam(), points_per_side=2, cache=None, crop_n_layers=layers, **strict)
    with pytest.warns(FocaLogicWarning, match="found no mask, so the whole image is one region"):
        assert not segmenter(image).any()
