"""From pictures of any size to the part and size of them that a model takes."""

from dataclasses import dataclass

from PIL import Image

from captum_focalogic.errors import InputError


@dataclass(frozen=True)
class CentreCrop:
    """The shorter side resized, then the centre cut out.

    Parameters
    ----------
    height, width : int
        Of the result, in pixels.
    share : float, default 0.875
        Of the resized picture's extent that is kept: 224 of 256 pixels are 0.875.
    interpolation : PIL.Image.Resampling, default BILINEAR
        For pictures; label maps are resized to the nearest pixel.
    """

    height: int
    width: int
    share: float = 0.875
    interpolation: Image.Resampling = Image.Resampling.BILINEAR

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1 or not 0 < self.share <= 1:
            raise InputError(f"a crop needs a size of at least 1x1 and a share above 0, at most 1; got {self}")

    def __call__(self, picture: Image.Image, nearest: bool = False) -> Image.Image:
        """Cut a picture, or with ``nearest`` a label map."""
        scale = max(self.width / picture.width, self.height / picture.height) / self.share
        size = max(self.width, round(picture.width * scale)), max(self.height, round(picture.height * scale))
        resized = picture.resize(size, Image.Resampling.NEAREST if nearest else self.interpolation)
        left, top = (size[0] - self.width) // 2, (size[1] - self.height) // 2
        return resized.crop((left, top, left + self.width, top + self.height))


def same_size(given: tuple[int, int], wanted: tuple[int, int] | None, name: str) -> None:
    """Refuse images of a size that a model does not take.

    Raises
    ------
    InputError
        If ``wanted`` is a size and not the one given; (height, width) each.
    """
    if wanted is not None and given != wanted:
        raise InputError(
            f"{name} takes images of {wanted[1]}x{wanted[0]} pixels (width x height); these have "
            f"{given[1]}x{given[0]}. Crop or resize them first, as the model's own crop(picture) does"
        )


@dataclass(frozen=True)
class Stretch:
    """The whole picture resized, whatever its aspect ratio.

    Parameters
    ----------
    height, width : int
        Of the result, in pixels.
    interpolation : PIL.Image.Resampling, default BILINEAR
        For pictures; label maps are resized to the nearest pixel.
    """

    height: int
    width: int
    interpolation: Image.Resampling = Image.Resampling.BILINEAR

    def __call__(self, picture: Image.Image, nearest: bool = False) -> Image.Image:
        """Resize a picture, or with ``nearest`` a label map."""
        return picture.resize((self.width, self.height), Image.Resampling.NEAREST if nearest else self.interpolation)
