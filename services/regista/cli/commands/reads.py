"""Looking: show, ls, lineage, diff, compare, status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from regista.cli import parse, served
from regista.cli.arguments import At, Model
from regista.cli.command import command
from regista.cli.printer import cell, short
from regista.cli.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from regista.wire import resources as r

PANEL = "Looking"
Filter = Annotated[
    str | None,
    typer.Option("--filter", metavar="EXPR", help="tags.team = 'risk' AND metrics.auc > 0.9", show_default=False),
]
_COUNTED = (
    "pending", "running", "overdue", "failed", "waiting", "refused", "open", "dead",
    "reports_waiting", "reports_refused", "commands_waiting", "commands_refused",
)  # fmt: skip
_MOMENT = "a position, or a time such as 2026-05-04T12:00:00Z"


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    command(app, "show", panel=PANEL)(show)
    command(app, "ls", panel=PANEL)(ls)
    command(app, "lineage", panel=PANEL)(lineage)
    command(app, "compare", panel=PANEL)(compare)
    command(app, "diff", panel=PANEL)(diff)
    command(app, "status", panel=PANEL)(status)


def show(
    shell: Shell,
    model: Model,
    ref: Annotated[
        str | None, typer.Argument(metavar="REF", help="A version; left out: the model.", show_default=False)
    ] = None,
    at: At = None,
) -> None:
    """Show a model, or everything known of a version; and the endpoints where it is to be served."""
    moment = parse.moment(at)
    if ref is None:
        found = shell.client.model(model, at=moment)
        shell.out.json(found) if shell.out.as_json else _show_model(shell, found)
    else:
        version = shell.client.version(model, ref, at=moment)
        shell.out.json(version) if shell.out.as_json else _show_version(shell, version)
    if not shell.out.as_json:
        serving = shell.client.endpoints(model=model, at=moment)
        served.print_serving(shell, serving, None if ref is None else version.version)


def _show_model(shell: Shell, model: r.Model) -> None:
    retired = "   retired: it takes no writes" if model.retired else ""
    shell.out.line(f"{model.model}{retired}", style="bold")
    shell.out.fields(
        [
            ("title", model.title),
            ("description", model.description),
            ("owner", model.owner),
            ("tags", model.tags),
            ("policy", model.policy),
            ("versions", model.versions),
            ("latest", model.latest_version),
            *((stage, held) for stage, held in model.stages.items() if stage != "archived"),
            ("aliases", {f"@{alias}": version for alias, version in model.aliases.items()}),
            ("created", f"{cell(model.created_at)} by {model.created_by}"),
            ("updated", cell(model.updated_at)),
            ("as of", model.at and f"position {model.at}"),
        ]
    )


def _show_version(shell: Shell, version: r.Version) -> None:
    shell.out.line(f"{version.model} {version.version}   {version.stage}", style="bold")
    runtime, code, run = version.runtime or {}, version.code or {}, version.run or {}
    shell.out.fields(
        [
            ("ordinal", version.ordinal),
            ("aliases", [f"@{alias}" for alias in version.aliases]),
            ("description", version.description),
            ("numbering", "\n".join(version.numbering.explanation)),
            ("missing", version.incomplete),
            ("waived", version.waived),
            ("artifact", version.artifact.digest),
            (
                "files",
                f"{len(version.artifact.files)}, {version.artifact.size:,} bytes, {version.artifact.format or 'unknown'}",
            ),
            ("uri", version.artifact.uri),
            ("code", _joined(code.get("repository"), code.get("commit"), "dirty" if code.get("dirty") else None)),
            ("snapshot", code.get("snapshot")),
            ("data", [_pinned(one) for one in version.datasets]),
            ("features", [_pinned(one) for one in version.features]),
            ("metrics", version.metrics),
            ("params", version.params),
            ("configuration", version.configuration),
            ("inputs", _signature(version.signature, "inputs")),
            ("outputs", _signature(version.signature, "outputs")),
            ("seed", runtime.get("seed")),
            ("python", runtime.get("python")),
            ("packages", f"{len(runtime['packages'])} (all with --json)" if runtime.get("packages") else None),
            ("hardware", runtime.get("hardware")),
            ("run", _joined(run.get("tracker"), run.get("id"), run.get("url"))),
            ("parents", [f"{p['model']} {p['version']} ({p['relation']})" for p in version.parents]),
            ("depends on", [f"{d['model']} {d['version']} ({d['role']})" for d in version.dependencies]),
            ("tags", version.tags),
            ("author", version.author),
            ("trained", version.trained_at),
            ("registered", f"{cell(version.created_at)} by {version.created_by}, position {version.position}"),
            ("as of", version.at and f"position {version.at}"),
        ]
    )
    if version.checks:
        shell.out.line()
        rows: Iterable[Any] = ((c.name, c.status, c.at, c.actor, c.summary) for c in version.checks)
        shell.out.table(("check", "status", "when", "by", "summary"), rows)
    if version.evaluations:
        shell.out.line()
        rows = ((_pinned(e.dataset or {}), e.slice, e.metrics, e.at, e.actor) for e in version.evaluations)
        shell.out.table(("evaluated on", "slice", "metrics", "when", "by"), rows)


def _joined(*parts: object) -> str:
    return "  ".join(str(part) for part in parts if part)


def _pinned(data: dict[str, Any]) -> str:
    if not data:
        return "-"
    version = f"@{data['version']}" if data.get("version") else ""
    return f"{data['name']}{version}" + (f" {short(data['digest'])}" if data.get("digest") else "")


def _signature(signature: dict[str, Any] | None, side: str) -> list[str]:
    def shape(field: dict[str, Any]) -> str:
        dimensions = field.get("shape")
        return "" if dimensions is None else f"[{', '.join('any' if d is None else str(d) for d in dimensions)}]"

    return [f"{field['name']}: {field['type']}{shape(field)}" for field in (signature or {}).get(side, ())]


def ls(
    shell: Shell,
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="Its versions; left out: all models.", show_default=False)
    ] = None,
    filter_: Filter = None,
) -> None:
    """List models, or the versions of one; with a filter, versions."""
    if model is not None:
        _list_versions(shell, shell.client.versions(model, filter_))
    elif filter_ is not None:
        _list_versions(shell, shell.client.search(filter_))
    else:
        _list_models(shell)


def _list_models(shell: Shell) -> None:
    models = list(shell.client.models())
    if shell.out.as_json:
        shell.out.json(models)
        return
    rows = ((m.model, m.versions, m.latest_version, m.stages.get("production"), m.owner, m.retired) for m in models)
    columns = ("model", "versions", "latest", "production", "owner", "retired")
    shell.out.table(columns, rows, empty="no model is registered")


def _list_versions(shell: Shell, found: Iterable[r.VersionSummary]) -> None:
    versions = list(found)
    if shell.out.as_json:
        shell.out.json(versions)
        return
    rows = (
        (v.model, v.version, v.ordinal, v.stage, [f"@{a}" for a in v.aliases], v.metrics, v.author, v.created_at)
        for v in versions
    )
    columns = ("model", "version", "nr", "stage", "aliases", "metrics", "author", "registered")
    shell.out.table(columns, rows, empty="no such version")


def lineage(
    shell: Shell,
    node: Annotated[
        str,
        typer.Argument(
            metavar="NODE",
            help="MODEL, MODEL/REF, or KIND:NAME such as dataset:transactions@2026-05.",
            show_default=False,
        ),
    ],
    ref: Annotated[
        str | None, typer.Argument(metavar="REF", help="A version of the model.", show_default=False)
    ] = None,
    direction: Annotated[
        str, typer.Option("--direction", metavar="WAY", help="upstream, downstream or both.")
    ] = "both",
    depth: Annotated[int | None, typer.Option("--depth", metavar="N", help="How many edges far.")] = None,
    form: Annotated[str, typer.Option("--format", metavar="FORM", help="table, mermaid or dot.")] = "table",
) -> None:
    """What a version was made of, and what was made of it."""
    ways: dict[str, Any] = {way: way for way in ("upstream", "downstream", "both")}
    way = parse.one_of(direction, ways, "--direction")
    name = _node(node, ref)
    forms: dict[str, Any] = {form: form for form in ("table", "mermaid", "dot")}
    if parse.one_of(form, forms, "--format") != "table":
        shell.out.raw(shell.client.lineage_diagram(name, format=forms[form], direction=way, depth=depth))
        return
    graph = shell.client.lineage(name, direction=way, depth=depth)
    if shell.out.as_json:
        shell.out.json(graph)
        return
    rows = ((edge.source, edge.relation, edge.target) for edge in graph.edges)
    shell.out.table(("from", "relation", "to"), rows, empty=f"nothing is known around {graph.root}")
    if graph.truncated:
        shell.out.note("There is more: name a node nearer to it, or a smaller depth.")


def _node(node: str, ref: str | None) -> str:
    """The name of a node in the graph: that of a version or model unless its kind was said."""
    if ":" in node.partition("/")[0]:
        if ref is not None:
            raise typer.BadParameter(f"{node} is no model, so it has no version {ref}", param_hint="REF")
        return node
    if ref is not None:
        return f"version:{node}/{ref}"
    return f"version:{node}" if "/" in node else f"model:{node}"


def compare(
    shell: Shell,
    first: Annotated[
        str, typer.Argument(metavar="MODEL", help="The model; or one version as MODEL/REF.", show_default=False)
    ],
    second: Annotated[
        str, typer.Argument(metavar="REF", help="One version; or the other as MODEL/REF.", show_default=False)
    ],
    third: Annotated[
        str | None, typer.Argument(metavar="REF", help="The other, of the same model.", show_default=False)
    ] = None,
) -> None:
    """What differs between two versions: MODEL REF REF, or MODEL/REF MODEL/REF for two models."""
    left, right = (first, second) if third is None else (f"{first}/{second}", f"{first}/{third}")
    found = shell.client.compare(left, right)
    if shell.out.as_json:
        shell.out.json(found)
        return
    if found.metrics:
        rows: Iterable[Any] = (
            (name, sides.get("left"), sides.get("right"), _change(sides)) for name, sides in found.metrics.items()
        )
        shell.out.table(("metric", found.left, found.right, "change"), rows)
        shell.out.line()
    rows = ((d.path, d.left, d.right) for d in found.differences)
    shell.out.table(("field", found.left, found.right), rows, empty="nothing else differs")


def _change(sides: dict[str, float | None]) -> str:
    before, after = sides.get("left"), sides.get("right")
    return "-" if before is None or after is None else f"{after - before:+.6g}"


def diff(
    shell: Shell,
    start: Annotated[str, typer.Argument(metavar="FROM", help=f"A moment: {_MOMENT}.", show_default=False)],
    end: Annotated[str | None, typer.Argument(metavar="TO", help="Another; left out: now.", show_default=False)] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="MODEL", help="Of this model only.")] = None,
) -> None:
    """What changed hands between two moments."""
    first = parse.moment(start, "FROM")
    assert first is not None
    found = shell.client.diff(first, parse.moment(end, "TO"), model=model)
    if shell.out.as_json:
        shell.out.json(found)
        return
    rows = ((c.model, f"@{c.name}" if c.kind == "alias" else c.name, c.before, c.after) for c in found.changes)
    shell.out.table(("model", "stage or alias", "before", "after"), rows, empty="nothing changed hands")
    shell.out.note(f"{found.events} events between positions {found.start} and {found.end}")


def status(
    shell: Shell,
    head: Annotated[
        bool, typer.Option("--head", help="Print the head alone, POSITION:HASH: what to keep for verify --head.")
    ] = False,
) -> None:
    """How the registry stands; exits 1 when it does not take writes, a view stands still or a relay has halted."""
    found = shell.client.status()
    parts = {name: part for name, part in found.components.items() if "state" in part}
    healthy = (
        found.writes == "ok"
        and all(view.state != "degraded" for view in found.views)
        and all(part["state"] != "halted" for part in parts.values())
    )
    if head:
        place = f"{found.head.position}:{found.head.digest}"
        shell.out.json({"head": place}) if shell.out.as_json else shell.out.line(place)
    elif shell.out.as_json:
        shell.out.json(found)
    else:
        shell.out.fields(
            [
                ("registry", shell.client.settings.url),
                ("release", found.version),
                ("log", found.log_id),
                ("position", found.log_position),
                ("head", f"{found.head.position}:{found.head.digest}"),
                ("events", found.head.count),
                ("writes", found.writes),
                ("since", found.started_at),
            ]
        )
        shell.out.line()
        rows = ((v.name, v.state, v.position, v.lag, v.error) for v in found.views)
        shell.out.table(("view", "state", "position", "behind", "error"), rows)
        if parts:
            shell.out.line()
            lines = (
                (name, p["state"], p.get("position"), p.get("lag"), in_hand(p), p.get("error"))
                for name, p in parts.items()
            )
            shell.out.table(("part", "state", "position", "behind", "in hand", "error"), lines)
        hints = [*(view.hint for view in found.views), *(part.get("hint") for part in parts.values())]
        for hint in dict.fromkeys(hint for hint in hints if hint is not None):
            shell.out.note(str(hint))
    if not healthy:
        raise typer.Exit(1)


def in_hand(part: Mapping[str, Any]) -> str | None:
    """What a part has before it or could not do, as far as it counts that: ``1 overdue, 3 failed``."""
    return ", ".join(f"{part[name]} {name.replace('_', ' ')}" for name in _COUNTED if part.get(name)) or None
