"""Options that several verbs share."""

from typing import Annotated, Any

import typer

from bbmr.options import EFFORTS, TUNES

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist already.")]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with a run that was stopped: outputs that are there, of the size of their input and newer, stay. "
        "What else they were made with is not looked at: give the options of the first run.",
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        min=1,
        help="Files at the same time, by a process each.",
        show_default="one for each core, as memory and files suffice; 1 on other devices",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Debug = Annotated[bool, typer.Option("--debug", help="Print the stack trace of unexpected errors.")]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        "--max-pixels",
        min=1,
        show_default="134 million; of .bbmr files 268 million",
        help="Refuse larger pictures: a small file may hold a huge one.",
    ),
]
Tune = Annotated[
    str,
    typer.Option(
        "--tune",
        metavar="|".join(TUNES),
        help="What counts as an error: visual weighs it by how well it is seen (even sharpness, no smeared low "
        "contrasts; with loss, by a codec tuned for SSIM); psnr is the squared error, for measurements.",
    ),
]


def quality_option(text: str, show_default: str | bool = False) -> Any:
    """Of coding with loss.  text: what it does in this verb."""
    return typer.Option("--quality", min=0, max=100, metavar="0..100", help=text, show_default=show_default)


Device = Annotated[
    str, typer.Option("--device", help="Where networks run, by torch's name of it: cpu, cuda, cuda:1, mps, ...")
]
Effort = Annotated[
    int,
    typer.Option(
        "--effort",
        metavar=f"{EFFORTS[0]}..{EFFORTS[-1]}",
        help="How long to refine the LR samples for the network that will restore them, from 0, not at all, to 9: a "
        "better picture from as many of them. Compressing takes 3 times as long with 1, 7 times with 5.",
    ),
]
