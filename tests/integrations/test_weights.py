"""Weights from files, never unpickled into code."""

import tracemalloc
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from captum_focalogic.errors import HubError, InputError
from captum_focalogic.integrations.weights import (
    fetching,
    first_line,
    load_or_leave,
    load_weights,
    load_with_head,
    looks_like_a_path,
    read_state_dict,
)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


@pytest.fixture
def saved(network, tmp_path):
    """Files of the same weights."""
    torch.save(network.state_dict(), tmp_path / "net.pt")
    torch.save({"state_dict": network.state_dict(), "epoch": 3}, tmp_path / "checkpoint.pt")
    save_file(network.state_dict(), tmp_path / "net.safetensors")
    return tmp_path


@pytest.mark.parametrize("name", ["net.pt", "checkpoint.pt", "net.safetensors"])
def test_weights_come_back_from_every_kind_of_file(network, saved, name):
    other = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    assert load_weights(other, saved / name) is other
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in network.state_dict().items())


def test_random_weights_are_left_with_a_warning(network):
    before = network[0].weight.clone()
    with pytest.warns(UserWarning, match="net has RANDOM weights"):
        assert load_or_leave(network, "random", "net") is network
    assert torch.equal(network[0].weight, before)


def test_weights_that_do_not_fit_or_cannot_be_read(saved, tmp_path):
    with pytest.raises(InputError, match=r"do not fit Linear.*\(and \d+ more\)"):
        load_weights(nn.Linear(3, 2), saved / "net.pt")
    (tmp_path / "cut.pt").write_bytes((saved / "net.pt").read_bytes()[:100])
    (tmp_path / "cut.safetensors").write_bytes((saved / "net.safetensors").read_bytes()[:100])
    torch.save([1, 2], tmp_path / "list.pt")
    for name, message in {
        "cut.pt": "cannot be read",
        "cut.safetensors": "cannot be read",
        "missing.pt": "cannot be read",
        "list.pt": "holds no state dict",
    }.items():
        with pytest.raises(InputError, match=message):
            read_state_dict(tmp_path / name)


def test_weights_are_never_unpickled_into_code(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"layer": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(InputError, match="cannot be read"):
        read_state_dict(tmp_path / "trap.pt")
    assert not (tmp_path / "sprung").exists()


def test_what_cannot_be_fetched_says_how_to_go_on():
    with pytest.raises(HubError, match=r"the weights could not be fetched \(no route to host\); swim"):  # noqa: SIM117
        with fetching("the weights", instead="swim"):
            raise OSError("no route to host.\nand more")


def test_errors_are_told_by_their_first_line():
    assert first_line(ValueError("one.\ntwo")) == "one"
    assert first_line(KeyError()) == "KeyError"


@pytest.mark.parametrize(
    ("name", "path"), [("owner/name", False), ("name", False), ("./name", True), ("/a/b", True), ("a/b/c", True)]
)
def test_ids_of_hubs_are_told_from_paths(name, path):
    assert looks_like_a_path(name) is path


@pytest.mark.parametrize(
    "wrap",
    [
        lambda names: {f"module.{name}": value for name, value in names.items()},
        lambda names: {f"_orig_mod.{name}": value for name, value in names.items()},
        lambda names: {f"model.{name}": value for name, value in names.items()},
        lambda names: {f"module._orig_mod.model.{name}": value for name, value in names.items()},
        lambda names: {"model": names, "optimizer": {"lr": 0.1}},
        lambda names: {"state_dict": {"model": {f"module.{name}": value for name, value in names.items()}}},
        lambda names: {"model_state_dict": names, "epoch": 3},
    ],
)
def test_what_wrappers_put_around_weights_is_taken_off(network, tmp_path, wrap):
    torch.save(wrap(network.state_dict()), tmp_path / "wrapped.pt")
    other, inputs = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), torch.rand(5, 3)
    load_weights(other, tmp_path / "wrapped.pt")
    assert torch.equal(other(inputs), network(inputs))


def test_a_prefix_that_the_model_has_itself_stays(tmp_path):
    network = nn.ModuleDict({"model": nn.Linear(3, 2), "module": nn.Linear(2, 2)})
    torch.save(network.state_dict(), tmp_path / "own.pt")
    other = nn.ModuleDict({"model": nn.Linear(3, 2), "module": nn.Linear(2, 2)})
    load_weights(other, tmp_path / "own.pt")
    assert torch.equal(other["module"].weight, network["module"].weight)
    torch.save({f"net.{name}": value for name, value in network.state_dict().items()}, tmp_path / "strange.pt")
    with pytest.raises(InputError, match="do not fit ModuleDict"):
        load_weights(other, tmp_path / "strange.pt")


def large(value):
    """A tensor of a few bytes that calls itself large."""
    return value.new_zeros(1).expand(10**10, *value.shape[1:])


def _itself():
    found = {}
    found["model"] = found
    return found


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda weights: weights | {"1.weight": large(weights["1.weight"])}, "holds no state dict"),
        (lambda weights: weights | {"1.bias": weights["1.bias"].to_sparse()}, "holds no state dict"),
        (lambda weights: weights | {"1.bias": weights["1.bias"].to("meta")}, "holds no state dict"),
        (lambda weights: weights | {5: weights["1.bias"]}, "holds no state dict"),
        (lambda weights: _itself(), "holds no state dict"),
        (lambda weights: {name: value.to(torch.complex64) for name, value in weights.items()}, "0.weight is of type"),
        (lambda weights: {name: value.char() for name, value in weights.items()}, "of quantised weights"),
        (lambda weights: weights | {"1.bias": weights["1.bias"] > 0}, "1.bias is of type torch.bool"),
    ],
    ids=["announced", "sparse", "meta", "numbered", "in itself", "complex", "quantised", "bool"],
)
def test_what_only_looks_like_weights_is_refused(network, tmp_path, made, message):
    path = tmp_path / "made.pt"
    torch.save(made(network.state_dict()), path)
    heads = []

    def make(classes):
        heads.append(classes)
        return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, classes or 2))

    for load in (lambda: load_weights(network, path), lambda: load_with_head(make, path, None, "m")):
        with pytest.raises(InputError, match=message):
            load()
    assert set(heads) <= {None}, "no head of an announced size is made"


def test_an_archive_that_unpacks_to_more_than_it_is_is_refused_unread(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "net.pt")
    with zipfile.ZipFile(tmp_path / "net.pt") as packed, zipfile.ZipFile(tmp_path / "bomb.pt", "w", 8) as bomb:
        for part in packed.infolist():
            content = b"\0" * 200_000_000 if part.filename.endswith("/data/0") else packed.read(part)
            bomb.writestr(part.filename, content)
    assert (tmp_path / "bomb.pt").stat().st_size < 1_000_000
    tracemalloc.start()
    with pytest.raises(InputError, match=r"compressed archive that unpacks to 200,\d{3},\d{3} bytes"):
        read_state_dict(tmp_path / "bomb.pt")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_endings_may_be_in_capitals(network, tmp_path):
    save_file(network.state_dict(), tmp_path / "NET.SAFETENSORS")
    assert read_state_dict(tmp_path / "NET.SAFETENSORS").keys() == network.state_dict().keys()
