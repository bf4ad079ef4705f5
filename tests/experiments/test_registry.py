"""How an experiment that was run is told: its size, and the command that repeats it."""

from captum_focalogic.experiments import Embedded, ImageNet
from captum_focalogic.experiments.registry import how


def test_the_command_is_told_that_was_run() -> None:
    said, command = how("models", Embedded(images=3, seed=5, scenes=256, epochs=2))
    assert said == "Size: embedded (images 3, seed 5, scenes 256, epochs 2)."
    assert "focalogic experiment models --size embedded --images 3 --seed 5 --scenes 256 --epochs 2\n" in command
    assert "--epochs" not in how("stability", Embedded(images=3))[1]
    images = ImageNet("my images", models=("a:b", "c:d"))
    command = how("stability", images)[1]
    assert "--data 'my images'" in command
    assert "--model a:b --model c:d\n" in command
