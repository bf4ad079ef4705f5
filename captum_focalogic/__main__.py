"""``python -m captum_focalogic``: the command line, where its script is not on the path."""

from captum_focalogic.cli import main

if __name__ == "__main__":
    main()
