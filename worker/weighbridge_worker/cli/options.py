"""Options that several commands take."""

from pathlib import Path
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
AsJsonl = Annotated[bool, typer.Option("--jsonl", help="For machines, a line each.")]
PricesFile = Annotated[
    Path | None,
    typer.Option(
        "--prices", metavar="FILE", help="TOML with prices of your own, over the bundled ones."
    ),
]
WithWorkers = Annotated[
    bool, typer.Option("--with-workers", help="Count in this process, on the given server.")
]
