"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.", show_default=False)]
Ref = Annotated[
    str,
    typer.Argument(
        metavar="REF", help="A version: 1.4.0, 7, @champion, @production, stage:x or sha256:….", show_default=False
    ),
]
RequiredReason = Annotated[str, typer.Option("--reason", metavar="WHY", help="Why; it stands in the log for ever.")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="WHY", help="Why.")]
Expect = Annotated[
    str | None,
    typer.Option("--expect", metavar="VERSION", help="Only if this version holds it now; 'none': if nobody does."),
]
LeaveEmpty = Annotated[bool, typer.Option("--leave-empty", help="Although nothing is in production then.")]
At = Annotated[
    str | None, typer.Option("--at", metavar="MOMENT", help="As of a position, or a time such as 2026-05-04T12:00:00Z.")
]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="A tag; repeat it for more.")]
Untag = Annotated[list[str] | None, typer.Option("--untag", metavar="KEY", help="Remove a tag.")]
Metrics = Annotated[list[str] | None, typer.Option("--metric", metavar="KEY=NUMBER", help="A metric; repeat it.")]
Description = Annotated[str | None, typer.Option("--description", metavar="TEXT", help="What is to be said of it.")]
Database = Annotated[
    str | None,
    typer.Option("--database", metavar="URL", help="Work on this PostgreSQL, offline, instead of asking a registry."),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Work on this data directory, offline, instead of asking a registry."),
]
