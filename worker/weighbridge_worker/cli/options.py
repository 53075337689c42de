"""Options that several commands take."""

from typing import Annotated

import typer

Redis = Annotated[
    str | None,
    typer.Option("--redis", metavar="URL", help="The queue's server [env: WEIGHBRIDGE_REDIS_URL]."),
]
Rpm = Annotated[
    str | None,
    typer.Option(
        "--rpm",
        metavar="N|auto",
        help="Calls a minute, all workers together; auto finds out [env: WEIGHBRIDGE_RPM].",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]
