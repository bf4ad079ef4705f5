"""``focalogic serve``: the page of an explanation, alive."""

from typing import Annotated

import typer

from captum_focalogic.cli import options
from captum_focalogic.cli.allocator import uncollected_imports
from captum_focalogic.cli.errors import CommandError, reports_errors, say
from captum_focalogic.cli.options import USUAL_BASELINE, USUAL_CRITERION, USUAL_EVALUATIONS, USUAL_MODEL
from captum_focalogic.cli.output import print_lines


@reports_errors
def serve(
    image: options.ImageFile = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", "-m", metavar="MODEL", help="As for explain; several times for models to choose among."
        ),
    ] = None,
    segmenter: Annotated[
        list[str] | None,
        typer.Option("--segmenter", "-s", metavar="NAME", help="As for explain; several times to choose among."),
    ] = None,
    baseline: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="As for explain; several times to choose among.")
    ] = None,
    removal: Annotated[
        list[options.RemovalName] | None,
        typer.Option(metavar="NAME", help="As for explain; several times to choose among."),
    ] = None,
    reading: options.Reading = options.USUAL_READING,
    criterion: options.Criterion = USUAL_CRITERION,
    target: options.Target = None,
    against: options.Against = None,
    zoom: options.Zoom = 0,
    max_evaluations: options.MaxEvaluations = USUAL_EVALUATIONS,
    device: options.Device = "auto",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="NUMBER", help="0 finds a free one.")] = 0,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Where to listen: this machine alone, unless --public comes with another address."
        ),
    ] = "127.0.0.1",
    public: Annotated[
        bool,
        typer.Option(
            "--public",
            help="Let others in: whoever has the address can send images and use this machine's processor.",
        ),
    ] = False,
    token: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What the address begins with; drawn at random, and 'none' for none."),
    ] = None,
    traceback: options.Traceback = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Open the page of an explanation alive: click regions away, and the model itself answers.

    Drop or choose an image, choose among the models, segmenters, fills and removals named here, watch the search, stop
    it, ask it about any selection, hold two models side by side, save whatever is on the page. It begins with what is
    named here, the first of several; without an image, with the example that belongs to the first model, or asks for
    one.
    """
    with uncollected_imports():
        from captum_focalogic.classifier import find_device
        from captum_focalogic.cli.session import example_photo
        from captum_focalogic.live.cases import Choices, Desk, Picture
        from captum_focalogic.live.server import open_page
        from captum_focalogic.session import SEGMENTER

    if host not in ("127.0.0.1", "localhost", "::1") and not public:
        raise CommandError(
            f"--host {host} lets other machines in: whoever has the address can send images and use this machine's "
            "processor; add --public if that is what you want"
        )
    names = model or [USUAL_MODEL]
    choices = Choices(
        dict.fromkeys(names),
        {name: name for name in segmenter or [SEGMENTER]},
        tuple(baseline or [USUAL_BASELINE]),
        tuple(each.value for each in removal or [options.RemovalName.fill]),
        find_device(device),
    )
    first = choices.settings(
        {
            "reading": reading.value,
            "criterion": criterion,
            "target": target,
            "against": against,
            "zoom": zoom,
            "max_evaluations": max_evaluations,
        }
    )
    desk = Desk(choices)
    desk.check()
    if image is None:
        example = example_photo(names[0])
        picture = None if example is None else Picture(*example)
    else:
        picture = Picture.of(image)
    key = "" if token == "none" else token
    page = open_page(desk, picture, first, host=host, port=port, token=key, public=public)
    print_lines({"Open": page.url, "Stop": "Ctrl-C"})
    if public:
        say("whoever has this address can send images and use this machine's processor")
    page.run()
