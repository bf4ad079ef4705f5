"""Numbers of classes that are given by name."""

import sys
import unicodedata

import pytest

from captum_focalogic.errors import FocaLogicWarning, InputError
from captum_focalogic.study.classes import check_splits, class_numbers, is_hidden

NAMES = ["tench, Tinca tinca", "crane", "Egyptian cat", "crane", "maillot, tank suit", "maillot", "French_horn"]


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("egyptian_cat", 2),
        ("EGYPTIAN-CAT", 2),
        ("Egyptian  cat", 2),
        ("tench", 0),
        ("tinca_tinca", 0),
        ("tench, Tinca tinca", 0),
        ("crane", 1),
        ("Ｃrane", 1),
        ("maillot", 5),
        ("tank suit", 4),
        ("french horn", 6),
    ],
)
def test_capitals_underscores_and_hyphens_are_forgiven(name: str, number: int) -> None:
    found = class_numbers([name], NAMES)
    assert (found.numbers, found.rule) == ({name: number}, "the model's classes of these names")


def test_a_name_that_means_two_classes_means_none() -> None:
    with pytest.raises(InputError, match="'crane' "):
        class_numbers(["crane"], ["crane, bird", "crane, machine"])
    assert class_numbers(["Maillot"], NAMES).numbers == {"Maillot": 5}


def test_a_name_that_two_classes_have_is_told_with_their_numbers() -> None:
    """ImageNet's own lists call two classes crane."""
    with pytest.warns(FocaLogicWarning, match=r"several classes 'Crane': 0, 2; those of the data are taken for 0"):
        class_numbers(["Crane"], ["crane", "dog", "crane"])


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_may_be_written_in_two_ways(form: str) -> None:
    """Some file systems take them apart."""
    name = unicodedata.normalize(form, "crème brûlée")
    assert class_numbers([name], ["crêpe", "creme brulee", "Crème_Brûlée"]).numbers == {name: 2}


def test_one_stranger_refuses_all_and_is_named() -> None:
    with pytest.raises(InputError, match=r"2 of 3 classes.*'Egyptian dog' \(nearest: 'Egyptian cat'.*, 'zzz';"):
        class_numbers(["crane", "Egyptian dog", "zzz"], NAMES)
    many = [f"qq{number}" for number in range(20)]
    with pytest.raises(InputError, match=r"20 of 20 classes.* and 12 more;"):
        class_numbers(many, NAMES)


def test_numbers_must_be_the_models() -> None:
    assert class_numbers(["6", "0"], NAMES).numbers == {"6": 6, "0": 0}
    with pytest.raises(InputError, match="7 classes, 0 to 6, but the data has class 7, 10"):
        class_numbers(["10", "7", "1"], NAMES)


def test_where_nothing_is_known_the_order_is_torchvisions() -> None:
    found = class_numbers(["b", "B", "a", "10"])
    assert found.numbers == {"10": 0, "B": 1, "a": 2, "b": 3}
    assert found.rule == "alphabetical order, as torchvision's ImageFolder"


SYSTEMS = (
    ".git",
    ".Trash-1000",
    "__MACOSX",
    "Thumbs.db",
    "@eaDir",
    "@Recycle",
    "#recycle",
    "#snapshot",
    "$RECYCLE.BIN",
)


def test_hidden_names() -> None:
    assert [name for name in (*SYSTEMS, "ant", "__ant") if not is_hidden(name)] == ["ant", "__ant"]


@pytest.mark.parametrize(
    "parts",
    [
        ["train"],
        ["Train", "VAL"],
        ["train2017", "val2017"],
        ["training_set", "test_set"],
        ["images_train", "images_val", "images_test"],
        ["train", "val", "extra"],
        ["test1", "train1"],
    ],
    ids=",".join,
)
def test_parts_of_a_data_set_are_no_classes(parts: list[str]) -> None:
    with pytest.raises(InputError, match="parts of a data set, not classes"):
        check_splits(parts, "data", None)
    with pytest.raises(InputError, match="parts of a data set, not classes"):
        check_splits(parts, "data", ["ant", "bee"])
    check_splits(parts, "data", parts)


def test_a_train_among_vehicles_is_a_class() -> None:
    check_splits(["bus", "car", "train"], "data", None)
    check_splits(["trainer", "validator"], "data", None)


def test_wordnet_ids_of_some_of_imagenets_classes_are_its_numbers() -> None:
    imagenet = [f"class {number}" for number in range(1_000)]
    some = {"n01440764": 0, "n02123045": 281, "n15075141": 999}
    assert class_numbers(sorted(some), imagenet).numbers == some
    assert class_numbers(sorted(some), None).numbers == {name: place for place, name in enumerate(sorted(some))}
    assert class_numbers(["N01440764", "n02123045"], imagenet).numbers == {"N01440764": 0, "n02123045": 281}
    with pytest.raises(InputError, match="do not have the WordNet id"):
        class_numbers([f"n{number:08d}" for number in range(1_000)], imagenet)
    with pytest.raises(InputError, match=r"do not have the WordNet id.*n99999999"):
        class_numbers(["n01440764", "n99999999"], imagenet)


def test_some_of_imagenets_classes_are_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm.data.imagenet_info", None)
    with pytest.raises(InputError, match=r"2 of ImageNet's 1,000.*timm"):
        class_numbers(["n01440764", "n02123045"], [str(number) for number in range(1_000)])
