"""Draws readme.png: what EfficientNet-Lite0 sees in scikit-image's cat. Run from anywhere, with the extra imagenet."""

from pathlib import Path

from skimage.data import chelsea

from captum_focalogic import explain_image


def main() -> None:
    explain_image("efficientnet-lite0", chelsea()).headline().save(
        Path(__file__).with_name("readme.png"), optimize=True
    )


if __name__ == "__main__":
    main()
