"""Items of a study: told apart by their ids, and how their classes were numbered."""

import pytest
from studies import patch_items

from captum_focalogic.errors import InputError
from captum_focalogic.study.items import Item, Sample, check_items, numbering_of


def test_items_need_ids_of_their_own() -> None:
    check_items(patch_items(3))
    with pytest.raises(InputError, match="no image to study"):
        check_items([])
    with pytest.raises(InputError, match="two images have the id 'patch-0'"):
        check_items([*patch_items(2), *patch_items(1)])


def test_how_classes_were_numbered_is_said_once() -> None:
    def read() -> Sample:
        raise OSError

    items = [
        Item(str(number), read, number, said) for number, said in enumerate(["by name", "", "as given", "by name"])
    ]
    assert numbering_of(items) == "as given; by name"
    assert numbering_of(patch_items(2)) == ""
