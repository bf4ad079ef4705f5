"""Embeddings of classes."""

import pytest
import torch

from captum_focalogic.errors import InputError
from captum_focalogic.integrations.zero_shot import class_embeddings

LABELS = ["cat", "dog", "bird"]
TEMPLATE = "a photo of a {}."


@pytest.mark.parametrize(
    ("labels", "templates", "message"),
    [
        (["cat", "cat"], TEMPLATE, "'cat' appears twice"),
        ([], TEMPLATE, "no labels"),
        (LABELS, "a photo", r"must have one \{\}"),
        (LABELS, ["{} and {}"], r"must have one \{\}"),
        (LABELS, [], r"must have one \{\}"),
    ],
)
def test_labels_and_templates_are_checked(labels, templates, message):
    with pytest.raises(InputError, match=message):
        class_embeddings(lambda sentences: torch.ones(len(sentences), 2), labels, templates)
