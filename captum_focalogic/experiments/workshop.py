"""Where an experiment works: its folder, in which everything that took time is kept for the next attempt."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from captum_focalogic.study import Engine, Item, StudySettings, run_items
from captum_focalogic.study.store import write_whole

if TYPE_CHECKING:
    import pyarrow as pa

_IDENTITY = "identity"


@dataclass(frozen=True)
class Workshop:
    """Where an experiment works.

    Attributes
    ----------
    folder : Path
        The experiment's own.
    engine : Engine, optional
        Who explains images; this process by default.
    show_progress : bool
        Show progress bars on standard error.
    """

    folder: Path
    engine: Engine | None = None
    show_progress: bool = False

    def study(self, name: str, plan: StudySettings, items: Sequence[Item]) -> "pa.Table":
        """The rows of a study in a subfolder of this name, made or completed."""
        folder = self.folder / "runs" / file_name(name)
        return run_items(plan, items, folder, engine=self.engine, show_progress=self.show_progress)

    def tensors(self, name: str, identity: str, make: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Tensors that take long to make, such as trained weights: read if they were made before, else made and kept.

        Parameters
        ----------
        name : str
            Of the file.
        identity : str
            All that the tensors depend on; those of another identity are made anew.
        make : callable
            Makes them.
        """
        path = self.folder / "made" / f"{file_name(name)}.safetensors"
        if path.is_file():
            with safe_open(path, framework="pt") as file:
                if (file.metadata() or {}).get(_IDENTITY) == identity:
                    return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
        made = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in make().items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, save(made, {_IDENTITY: identity}))
        return made


def file_name(name: str) -> str:
    """A name as part of a path: with hyphens for whatever some file system refuses, such as the : and / of models."""
    return re.sub(r"[^\w .,()+=-]", "-", name)
