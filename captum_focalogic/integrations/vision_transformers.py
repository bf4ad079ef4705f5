"""Vision transformers asked with patches left out: ``removal="tokens"``.

A transformer takes any number of tokens, so that the patches of dropped regions need no fill: they are not there (Jain
et al., Missingness Bias in Model Debugging, ICLR 2022). The model's own forward function is run. Where all tokens, with
their positions, first come together, those of dropped patches are taken out; what follows sees only what is kept.

Known are torchvision's VisionTransformer, timm's VisionTransformer (ViT, DeiT, DINOv2) and Eva (EVA02, DINOv3), whose
rotary positions are gathered for every row, ViT and CLIP of transformers, and open_clip's, alone or inside other
modules, such as ``nn.Sequential(Normalize(...), vit)``.
"""

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from captum_focalogic.errors import InputError
from captum_focalogic.oracle.forward import as_rows

_FILLED = 0.8
"""Rows of a batch are asked together if the shortest has at least this share of the longest one's tokens."""


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Where the tokens of a vision transformer are.

    Attributes
    ----------
    patches : nn.Module
        The convolution that makes a token of each patch.
    entry : nn.Module
        The first module that is given all tokens, (N, prefix + patches, width), with their positions.
    prefix : int
        How many tokens stand before the patches: class, distillation, registers.
    attentions : tuple of nn.Module
        What can be given a mask of keys, so that rows of several lengths share a call; none where all tokens are
        pooled, or a mask cannot be given.
    empty : bool
        Whether the model has an answer without any patch.
    rotated : tuple of nn.Module
        What is given rotary positions of the patches as ``rope``.
    """

    patches: nn.Module
    entry: nn.Module
    prefix: int
    attentions: tuple[nn.Module, ...]
    empty: bool
    rotated: tuple[nn.Module, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a patch in pixels.

        Raises
        ------
        InputError
            If patches overlap, or are made by several layers.
        """
        made = self.patches
        if not isinstance(made, nn.Conv2d):
            raise InputError(
                f"removal='tokens' cannot be used: {type(made).__name__} makes the patches by several layers (a "
                "convolutional stem), so that they see each other's pixels. Use removal='fill'"
            )
        if made.stride != made.kernel_size or made.padding not in ((0, 0), "valid") or made.dilation != (1, 1):
            raise InputError(
                f"removal='tokens' cannot be used: patches of {made.kernel_size} pixels are taken every {made.stride} "
                "pixels, so that they share pixels or leave some out. Use removal='fill'"
            )
        return made.kernel_size[0], made.kernel_size[1]


class TokenRemoval:
    """A model that holds a vision transformer, asked with patches left out.

    Parameters
    ----------
    forward_func : callable
        Images (N, C, H, W), then any arguments that are no tensors, to one row an image.
    transformer : nn.Module, optional
        The module inside that is, or holds, the vision transformer; needed where ``forward_func`` is a plain function,
        which does not show what it calls.

    Raises
    ------
    InputError
        If there is no vision transformer whose patches can be left out.

    Examples
    --------
    >>> vit = torchvision.models.vit_b_16(weights="DEFAULT").eval()  # doctest: +SKIP
    >>> explain_image(TokenRemoval(lambda x: vit(normalise(x)), vit), "cat.jpg", removal="tokens")  # doctest: +SKIP
    """

    def __init__(self, forward_func: Callable[..., Any], transformer: nn.Module | None = None) -> None:
        self.forward_func = forward_func
        self._anatomy = find_anatomy(forward_func if transformer is None else transformer)
        self.patch_size = self._anatomy.size

    def __call__(self, images: Tensor, *args: Any) -> Tensor:
        """What the model says to whole images."""
        return as_rows(self.forward_func(images, *args), len(images))

    def patches(self, size: tuple[int, int]) -> Tensor:
        """The patch of every pixel of an image, (H, W) int64.

        Raises
        ------
        InputError
            If the image is not made of whole patches.
        """
        height, width = self.patch_size
        if size[0] % height or size[1] % width:
            raise InputError(
                f"removal='tokens' needs images of whole patches of {width}x{height} pixels (width x height); "
                f"got {size[1]}x{size[0]}. Resize or crop it first (preprocess=), or use removal='fill'"
            )
        rows, columns = torch.arange(size[0]) // height, torch.arange(size[1]) // width
        return rows[:, None] * (size[1] // width) + columns

    def forward_masked(self, images: Tensor, kept: Tensor, *args: Any) -> Tensor:
        """What the model says with some patches left out.

        Parameters
        ----------
        images : (B, C, H, W) Tensor
            Whole images.
        kept : (B, H, W) bool Tensor
            Which pixels are there; those of one patch alike.

        Returns
        -------
        (B, ...) Tensor
            NaN for a row that keeps nothing, where the model pools its patches and so has no answer.

        Raises
        ------
        InputError
            If only part of a patch is kept, or a further argument is a tensor.
        """
        if any(isinstance(arg, Tensor) for arg in args):
            raise InputError("removal='tokens' passes no tensors as additional arguments; bind them to the model")
        present = self._present(kept)
        counts = present.sum(1)
        unasked = (counts == 0) & (not self._anatomy.empty)
        present = present | unasked[:, None]
        buckets = list(_buckets(present.sum(1).tolist(), self._anatomy))
        parts = []
        for rows in buckets:
            index = torch.tensor(rows, device=images.device)
            with _dropping(self._anatomy, present[index], (images.shape[-2], images.shape[-1])):
                parts.append(self(images[index], *args))
        order = torch.tensor([row for rows in buckets for row in rows], device=images.device).argsort()
        outputs = torch.cat(parts)[order.to(parts[0].device)]
        if bool(unasked.any()):
            outputs[unasked.to(outputs.device)] = torch.nan
        return outputs

    def _present(self, kept: Tensor) -> Tensor:
        """Which patches are there, (B, patches)."""
        self.patches((kept.shape[1], kept.shape[2]))
        height, width = self.patch_size
        tiles = kept.reshape(len(kept), kept.shape[1] // height, height, kept.shape[2] // width, width)
        tiles = tiles.transpose(2, 3).flatten(3).flatten(1, 2)
        present: Tensor = tiles.all(2)
        if not torch.equal(present, tiles.any(2)):
            raise InputError("kept must hold whole patches: all pixels of a patch, or none")
        return present


def drop_tokens(forward_func: Callable[..., Any]) -> Any:
    """The model as one that leaves pixels out by itself; as it is, where it does.

    Raises
    ------
    InputError
        If it cannot.
    """
    if callable(getattr(forward_func, "forward_masked", None)):
        return forward_func
    return TokenRemoval(forward_func)


def find_anatomy(model: Any) -> Anatomy:
    """The anatomy of the one vision transformer in a module.

    Raises
    ------
    InputError
        If there is none, or more than one.
    """
    if not isinstance(model, nn.Module):
        raise InputError(
            f"removal='tokens' needs the module itself, and {getattr(model, '__name__', type(model).__name__)!r} does "
            "not show what it calls. Pass the module, as in nn.Sequential(normalise, model); or "
            "captum_focalogic.integrations.vision_transformers.TokenRemoval(function, module); or an object with "
            "forward_masked(images, kept). Else use removal='fill'"
        )
    found = [(family, module) for module in model.modules() if (family := _family(module)) is not None]
    if len(found) != 1:
        raise InputError(
            f"removal='tokens' needs one vision transformer of a known kind, or a model with forward_masked(images, "
            f"kept); {len(found) or 'none'} found in {type(model).__name__}. Known: {', '.join(KNOWN)}; those with "
            "windows, relative positions or other rotary ones are not. Use removal='fill'"
        )
    family, module = found[0]
    return family(module)


def _torchvision(vit: Any) -> Anatomy:
    attentions = tuple(layer.self_attention for layer in vit.encoder.layers)
    return Anatomy(vit.conv_proj, vit.encoder.layers, 1, attentions, empty=True)


def _timm(vit: Any) -> Anatomy:
    distilled = hasattr(vit, "head_dist")
    if vit.global_pool == "" and not distilled:
        raise InputError("removal='tokens' needs a model that gives one row an image; this one gives all its tokens")
    pools = not distilled and (vit.attn_pool is not None or vit.global_pool != "token")
    empty = vit.num_prefix_tokens > 0 and (not pools or getattr(vit, "pool_include_prefix", False))
    attentions = () if pools else tuple(vit.blocks)
    return Anatomy(vit.patch_embed.proj, vit.blocks[0], vit.num_prefix_tokens, attentions, empty)


def _timm_eva(vit: Any) -> Anatomy:
    return replace(_timm(vit), rotated=() if vit.rope is None else tuple(vit.blocks))


def _transformers_vit(vit: Any) -> Anatomy:
    layers = vit.layers if hasattr(vit, "layers") else vit.encoder.layer
    attentions = _maskable(vit, tuple(layer.attention for layer in layers))
    return Anatomy(vit.embeddings.patch_embeddings.projection, layers[0], 1, attentions, empty=True)


def _transformers_clip(clip: Any) -> Anatomy:
    layers = clip.encoder.layers
    attentions = _maskable(clip, tuple(layer.self_attn for layer in layers))
    return Anatomy(clip.embeddings.patch_embedding, layers[0], 1, attentions, empty=True)


def _maskable(model: Any, attentions: tuple[nn.Module, ...]) -> tuple[nn.Module, ...]:
    """Attentions of transformers, where they take a mask that is added."""
    adds = getattr(model.config, "_attn_implementation", None) in ("sdpa", "eager")
    return attentions if adds and "attention_mask" in inspect.signature(attentions[0].forward).parameters else ()


def _open_clip(vit: Any) -> Anatomy:
    pooler = vit.attn_pool is not None
    if vit.pool_type not in ("tok", "avg") and not pooler:
        raise InputError("removal='tokens' needs a model that gives one row an image; this one gives all its tokens")
    attentions = tuple(block.attn for block in vit.transformer.resblocks)
    maskable = (
        vit.pool_type == "tok" and not pooler and all(isinstance(each, nn.MultiheadAttention) for each in attentions)
    )
    # A pooler attends to the class token too.
    return Anatomy(
        vit.conv1, vit.transformer, 1, attentions if maskable else (), empty=pooler or vit.pool_type == "tok"
    )


_FAMILIES: dict[tuple[str, str], Callable[[Any], Anatomy]] = {
    ("torchvision.models.vision_transformer", "VisionTransformer"): _torchvision,
    ("timm.models.vision_transformer", "VisionTransformer"): _timm,
    ("timm.models.eva", "Eva"): _timm_eva,
    ("transformers.models.vit.modeling_vit", "ViTModel"): _transformers_vit,
    ("transformers.models.clip.modeling_clip", "CLIPVisionModel"): _transformers_clip,
    ("transformers.models.clip.modeling_clip", "CLIPVisionTransformer"): _transformers_clip,
    ("open_clip.transformer", "VisionTransformer"): _open_clip,
}

KNOWN = ("torchvision's and timm's VisionTransformer", "timm's Eva", "ViT and CLIP of transformers", "open_clip's")


def _family(module: nn.Module) -> Callable[[Any], Anatomy] | None:
    for kind in type(module).__mro__:
        family = _FAMILIES.get((kind.__module__, kind.__name__))
        # Older releases of transformers have a shell of the same name around what counts.
        if family is not None and (family is not _transformers_clip or hasattr(module, "embeddings")):
            return family
    return None


def _buckets(counts: list[int], anatomy: Anatomy) -> Iterator[list[int]]:
    """Rows that are asked together, longest first: of one length, or of similar ones where keys can be masked."""
    share = _FILLED if anatomy.attentions else 1.0
    bucket: list[int] = []
    longest = 0
    for row in sorted(range(len(counts)), key=lambda row: -counts[row]):
        length = counts[row] + anatomy.prefix
        if bucket and length < share * longest:
            yield bucket
            bucket = []
        longest = longest if bucket else length
        bucket.append(row)
    if bucket:
        yield bucket


@contextmanager
def _dropping(anatomy: Anatomy, present: Tensor, size: tuple[int, int]) -> Iterator[None]:
    """While this is open, the model's tokens in this thread are those of present patches, (B, patches) bool."""
    index, padded = _tokens(present, anatomy.prefix)
    places = (index[:, anatomy.prefix :] - anatomy.prefix).clamp(min=0)
    thread, seen = threading.get_ident(), []

    def check(_: nn.Module, args: tuple[Any, ...]) -> None:
        seen_size = tuple(args[0].shape[-2:])
        if threading.get_ident() == thread and seen_size != size:
            raise InputError(
                f"removal='tokens' cannot be used: the model makes its patches of a map of {seen_size}, "
                f"not of the image of {size} that it was given. Use removal='fill'"
            )

    def select(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if threading.get_ident() != thread:
            return None
        seen.append(module)
        tokens, *others = args
        others += [given for name, given in kwargs.items() if name != "rope" or not anatomy.rotated]
        expected = anatomy.prefix + present.shape[1]
        if tokens.dim() != 3 or tokens.shape[1] != expected or any(isinstance(one, Tensor) for one in others):
            raise InputError(
                f"removal='tokens' cannot be used: {type(module).__name__} is expected to take {expected} tokens "
                f"({anatomy.prefix} before the patches) and nothing that depends on their positions; got "
                f"{tuple(tokens.shape)} and {len(others)} more. Use removal='fill'"
            )
        chosen = tokens.gather(1, index[:, :, None].expand(-1, -1, tokens.shape[2]))
        return (chosen, *args[1:]), kwargs

    def turn(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if threading.get_ident() != thread:
            return None
        rope = kwargs.get("rope")
        if not isinstance(rope, Tensor) or rope.dim() not in (2, 3) or rope.shape[-2] != present.shape[1]:
            shape = tuple(rope.shape) if isinstance(rope, Tensor) else None
            raise InputError(
                f"removal='tokens' cannot be used: {type(module).__name__} is expected to take rope= for "
                f"{present.shape[1]} patches, the same for all images; got {shape}. Use removal='fill'"
            )
        # (patches, width), or (heads, patches, width), to (rows, 1 or heads, tokens kept, width).
        turned = rope[..., places, :]
        return args, {**kwargs, "rope": turned[:, None] if rope.dim() == 2 else turned.transpose(0, 1)}

    def mask(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if threading.get_ident() != thread:
            return None
        if isinstance(module, nn.MultiheadAttention):
            return args, {**kwargs, "key_padding_mask": padded}
        tokens = args[0] if args else kwargs["hidden_states"]
        added = torch.zeros_like(padded, dtype=tokens.dtype).masked_fill_(padded, -torch.inf)[:, None, None]
        if len(args) > 1:
            return (args[0], added, *args[2:]), kwargs
        takes = inspect.signature(module.forward).parameters
        return args, {**kwargs, "attn_mask" if "attn_mask" in takes else "attention_mask": added}

    with ExitStack() as hooks:
        hooks.callback(anatomy.patches.register_forward_pre_hook(check).remove)
        hooks.callback(anatomy.entry.register_forward_pre_hook(select, with_kwargs=True).remove)
        for block in anatomy.rotated:
            hooks.callback(block.register_forward_pre_hook(turn, with_kwargs=True).remove)
        if bool(padded.any()):
            for attention in anatomy.attentions:
                hooks.callback(attention.register_forward_pre_hook(mask, with_kwargs=True).remove)
        yield
    if not seen:
        raise InputError(
            f"removal='tokens' cannot be used: the model does not call its {type(anatomy.entry).__name__} here, as "
            "when it was compiled or runs in other threads. Pass the model as it was before, or use removal='fill'"
        )


def _tokens(present: Tensor, prefix: int) -> tuple[Tensor, Tensor]:
    """Which tokens are kept, (B, L), the first one again where a row has fewer; and where that is, (B, L) bool."""
    counts = present.sum(1, keepdim=True)
    longest = int(counts.max())
    order = present.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :longest]
    padded = torch.arange(longest, device=present.device) >= counts
    before = torch.arange(prefix, device=present.device).expand(len(present), -1)
    # A token that is kept anyway: one of a dropped patch might hold what no mask can stop, such as NaN.
    index = torch.cat([before, (order + prefix).masked_fill(padded, 0)], dim=1)
    return index, torch.cat([torch.zeros_like(before, dtype=torch.bool), padded], dim=1)
