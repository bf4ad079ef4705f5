"""Calling the model on a batch, and reading what it answers."""

import re
from collections.abc import Callable
from numbers import Number
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from captum_focalogic.errors import AggregateOutputError, InputError, ModelOutputError, warn
from captum_focalogic.fingerprint import fingerprint
from captum_focalogic.oracle.turns import my_turn


def is_out_of_memory(error: Exception) -> bool:
    """Whether a smaller batch may get through.

    Accelerators other than CUDA, and the CPU, report it as a plain ``RuntimeError`` that only its text tells apart.
    """
    # The name torch.OutOfMemoryError came later than the oldest torch that is supported.
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    message = str(error)
    return isinstance(error, RuntimeError) and ("out of memory" in message or "can't allocate memory" in message)


_MOODY = re.compile("Drop|BatchNorm|InstanceNorm|RReLU|Stochastic")
"""Kinds of layers that answer otherwise in training."""


def warn_of_training(forward_func: Callable[..., Any]) -> None:
    """Warn, before anything is asked, of layers in training mode that make a model answer by chance or by its batch."""
    if not isinstance(forward_func, torch.nn.Module):
        return
    moody = [
        f"{name or 'the model itself'} ({type(layer).__name__})"
        for name, layer in forward_func.named_modules()
        if layer.training and _MOODY.search(type(layer).__name__)
    ]
    if moody:
        more = f" and {len(moody) - 3} more" if len(moody) > 3 else ""
        warn(
            f"the model is in training mode, so that it may answer otherwise each time: {', '.join(moody[:3])}{more}; "
            "call model.eval() first"
        )


def billed(forward_func: Any) -> bool:
    """Whether a model costs money by the call, so that nothing is put to it that was not asked for.

    Told by an attribute that no network has by chance.
    """
    return getattr(forward_func, "billed_by_the_call", False) is True


_DIGESTS: "WeakKeyDictionary[torch.nn.Module, tuple[tuple[tuple[int, int], ...], str]]" = WeakKeyDictionary()


def weights_digest(forward_func: Callable[..., Any]) -> str | None:
    """Fingerprint of a module's layers and weights; None for other functions. Taken again when a weight changes."""
    if not isinstance(forward_func, torch.nn.Module):
        return None
    tensors = [*forward_func.parameters(), *forward_func.buffers()]
    state = tuple((id(tensor), 0 if tensor.is_inference() else tensor._version) for tensor in tensors)
    if forward_func not in _DIGESTS or _DIGESTS[forward_func][0] != state:
        _DIGESTS[forward_func] = (state, fingerprint(forward_func))
    return _DIGESTS[forward_func][1]


_RAISED = "raised by the forward function"


def raised_by_model(error: BaseException) -> bool:
    """Whether an exception came out of the forward function, called in a batch."""
    return any(note.startswith(_RAISED) for note in getattr(error, "__notes__", ()))


class Forward:
    """The user's forward function with its additional arguments.

    Parameters
    ----------
    forward_func : callable
        Takes the input tensors and then the additional arguments.
    additional_args : tuple
        A tensor with as many rows as there are examples gives each masked input the row of its example; one with a
        single row is repeated; every other object, 0-d tensors included, is passed as it is.
    num_examples : int
        N.
    """

    def __init__(self, forward_func: Callable[..., Any], additional_args: tuple[Any, ...], num_examples: int) -> None:
        self._forward_func = forward_func
        self._additional_args = additional_args
        self._num_examples = num_examples

    def __call__(self, batch: tuple[Tensor, ...], index: Tensor) -> Tensor:
        """The model's outputs, (B, ...).

        Parameters
        ----------
        batch : tuple of (B, ...) Tensor
            Masked inputs.
        index : (B,) int64 Tensor
            The example each row belongs to, on the inputs' device.

        Raises
        ------
        ModelOutputError
            If the outputs have no row for each input. What the model itself raises passes through, with a note.
        """
        return self._call(self._forward_func, batch, batch, index)

    def masked(self, batch: tuple[Tensor, ...], kept: Tensor, index: Tensor) -> Tensor:
        """The outputs of a model that leaves pixels out by itself: ``forward_masked(images, kept, ...)``, (B, ...).

        Parameters
        ----------
        batch : tuple of (B, C, H, W) Tensor
            Whole images.
        kept : (B, H, W) bool Tensor
            Which pixels are there.
        index : (B,) int64 Tensor
            As for a plain call.
        """
        return self._call(self._forward_func.forward_masked, (*batch, kept), batch, index)  # type: ignore[attr-defined]

    def patches(self, size: tuple[int, int]) -> Tensor | None:
        """Patch of every pixel (H, W), of a model that leaves out whole patches by itself; None for others."""
        found = getattr(self._forward_func, "patches", None)
        return None if found is None else found(size)

    def _call(
        self, function: Callable[..., Any], given: tuple[Tensor, ...], batch: tuple[Tensor, ...], index: Tensor
    ) -> Tensor:
        args = [self._rows_of(arg, index) for arg in self._additional_args]
        try:
            with my_turn() as shared:
                outputs = function(*given, *args)
                if shared and batch[0].device.type == "cuda":
                    # Else the next one's batch stands in the device's queue behind this one.
                    torch.cuda.synchronize(batch[0].device)
        except Exception as error:
            error.add_note(f"{_RAISED}, called by FocaLogic with {_shapes(batch)}")
            raise
        return as_rows(outputs, len(index))

    def _rows_of(self, arg: Any, index: Tensor) -> Any:
        if not isinstance(arg, Tensor) or arg.dim() == 0:
            return arg
        if len(arg) == self._num_examples:
            return arg[index.to(arg.device)]
        if len(arg) == 1:
            return arg.expand(len(index), *arg.shape[1:])
        return arg


class BatchPadding(torch.nn.Module):
    """A model that takes batches of one size only, for batches of any size.

    What ``torch.export`` or TensorRT made for one shape takes no other, and ``torch.compile`` compiles anew for each.
    Longer batches are cut; what is missing from the last is filled with its last row, and the answers to that are
    dropped.

    Parameters
    ----------
    model : callable
        Takes tensors of ``rows`` rows, and answers one row each.
    rows : int
        Its batch size.

    Raises
    ------
    InputError
        If ``rows`` is no positive integer.

    Examples
    --------
    >>> seen = []
    >>> padded = BatchPadding(lambda x: (seen.append(len(x)), x.sum(1))[1], 4)
    >>> padded(torch.ones(5, 2)), seen
    (tensor([2., 2., 2., 2., 2.]), [4, 4])
    """

    def __init__(self, model: Callable[..., Any], rows: int) -> None:
        super().__init__()
        if not isinstance(rows, int) or rows < 1:
            raise InputError(f"rows must be the batch size that the model takes, 1 or more; got {rows!r}")
        self.model = model
        self.rows = rows

    def forward(self, inputs: Tensor, *args: Any) -> Tensor:
        """The answers, one row an input; further tensors of as many rows are cut and filled likewise."""
        asked = len(inputs)
        answers = [as_rows(self._call(start, inputs, args), self.rows) for start in range(0, asked, self.rows)]
        return torch.cat(answers)[:asked]

    def _call(self, start: int, inputs: Tensor, args: tuple[Any, ...]) -> Any:
        asked = len(inputs)
        index = torch.arange(start, start + self.rows, device=inputs.device).clamp_max(asked - 1)

        def rows_of(value: Any) -> Any:
            by_row = isinstance(value, Tensor) and value.dim() > 0 and len(value) == asked
            return value[index.to(value.device)] if by_row else value

        return self.model(inputs[index], *map(rows_of, args))


def as_rows(outputs: Any, rows: int) -> Tensor:
    """Outputs as a tensor with one row an input.

    Raises
    ------
    ModelOutputError
        If that cannot be done.
    """
    if isinstance(outputs, torch.futures.Future):
        raise ModelOutputError(
            "the forward function returned a Future; FocaLogic needs the tensor itself (wait for it)"
        )
    # As transformers answers: a ModelOutput, whose class scores have a name.
    outputs = getattr(outputs, "logits", outputs)
    if isinstance(outputs, Number | np.ndarray | np.generic):
        outputs = torch.as_tensor(outputs, device="cpu")
    if not isinstance(outputs, Tensor):
        keys = [key for key, value in outputs.items() if isinstance(value, Tensor)] if isinstance(outputs, dict) else []
        scores = f"[{keys[0]!r}]" if keys else "[0]" if isinstance(outputs, list | tuple) else ".scores"
        raise ModelOutputError(
            f"the forward function must return a tensor with one row an input; got {type(outputs).__name__}. "
            f"Wrap it in a function that returns its scores, such as lambda x: model(x){scores}"
        )
    if outputs.is_complex():
        raise ModelOutputError(f"the forward function must return real numbers; got {outputs.dtype}")
    if outputs.layout != torch.strided or outputs.is_quantized or outputs.is_meta:
        kind = "a meta" if outputs.is_meta else "a quantised" if outputs.is_quantized else f"a {outputs.layout}"
        raise ModelOutputError(
            f"the forward function must return a dense tensor of numbers; got {kind} tensor. Wrap it in a function "
            "that makes one of it, such as lambda x: model(x).to_dense()"
        )
    if outputs.numel() == 1 and rows == 1:
        return outputs.reshape(1, *outputs.shape[1:])
    if outputs.numel() == 1:
        raise AggregateOutputError(
            f"the forward function returned one value for {rows} inputs; it must return one row an input. "
            "For a function of the whole batch, pass one example at a time with perturbations_per_eval=1"
        )
    if outputs.dim() == 0 or len(outputs) != rows:
        raise AggregateOutputError(
            f"the forward function must return one row an input; got shape {tuple(outputs.shape)} for {rows} input(s)"
        )
    return outputs


def _shapes(batch: tuple[Tensor, ...]) -> str:
    return ", ".join(
        f"a {str(tensor.dtype).removeprefix('torch.')} tensor of {tuple(tensor.shape)}" for tensor in batch
    )
