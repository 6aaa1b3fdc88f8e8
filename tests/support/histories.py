"""Logs for tests and benchmarks: real commands, decided by the real rules, encoded as they are stored."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from regista.domain import commands as c
from regista.domain import events as e
from regista.domain import metadata as m
from regista.domain.chain import Row, event_hash, stream_hash
from regista.domain.errors import RegistaError
from regista.domain.model.context import Context, KnownArtifact
from regista.domain.model.decide import decide
from regista.domain.model.evolve import evolve
from regista.domain.model.state import EMPTY, ModelState
from regista.domain.records import meta_to_record, to_record
from regista.domain.references import model_stream
from regista.schemas.codec import encode

START = datetime(2026, 1, 1, tzinfo=UTC)


def digest(text: str) -> str:
    return f"sha256:{sha256(text.encode()).hexdigest()}"


class History:
    """A log in the making. ``rows`` grows by what each command decides; ``sets`` has them by command."""

    def __init__(self, log_id: str = "log-1") -> None:
        self.log_id = log_id
        self.rows: list[Row] = []
        self.sets: list[list[Row]] = []
        self.states: dict[str, ModelState] = {}
        self.now = START
        self._hashes: dict[str, tuple[int, bytes]] = {}
        self.append(f"log/{log_id}", [e.LogCreated(log_id, "regista test")], actor="system")

    def do(self, command: c.Command, *, actor: str = "ada", reason: str | None = "because", **how: object) -> list[Row]:
        """Carry out a command.

        Raises:
            RegistaError: the rules say no.
        """
        stream = model_stream(command.model)
        state = self.states.get(stream, EMPTY)
        artifact = KnownArtifact(how.get("artifact"))  # type: ignore[arg-type]  # an Artifact where one is given
        events = decide(state, command, Context(reason=reason, others=self.states, artifact=artifact))
        rows = self.append(stream, events, actor=actor, reason=reason)
        for event in events:
            state = evolve(state, event)
        self.states[stream] = state
        return rows

    def append(
        self,
        stream: str,
        events: Sequence[e.Event],
        *,
        actor: str = "ada",
        reason: str | None = None,
        cause: str | None = None,
    ) -> list[Row]:
        """Append one atomic set."""
        self.now += timedelta(seconds=1)
        rows = [self._row(stream, event, actor, reason, cause) for event in events]
        self.sets.append(rows)
        return rows

    def _row(self, stream: str, event: e.Event, actor: str, reason: str | None, cause: str | None) -> Row:
        sequence, previous = self._hashes.get(stream, (0, stream_hash(stream)))
        command_id = f"command-{len(self.sets)}"
        meta = e.Meta(
            self.now, actor, "asserted", reason, command_id, sha256(b"body").digest(), cause, None, None, previous
        )
        value = encode(type(event).__name__, {"meta": meta_to_record(meta), **to_record(event)})
        position = self.rows[-1].position + 1 if self.rows else 1
        row = Row(position, stream, sequence + 1, event.TYPE, value)
        self._hashes[stream] = (row.sequence, event_hash(stream, row.sequence, value))
        self.rows.append(row)
        return row

    def register_model(self, model: str, **fields: object) -> list[Row]:
        return self.do(c.RegisterModel(model, **fields))  # type: ignore[arg-type]  # fields of the command

    def register(self, model: str, seed: int = 0, **fields: object) -> str:
        """Register a version with everything filled in; its number."""
        artifact = m.Artifact(
            uri=f"s3://models/{model}/{seed}",
            digest=digest(f"{model}-{seed}"),
            size=1_000 + seed,
            format="safetensors",
            files=(m.File("model.safetensors", 1_000 + seed, digest(f"file-{model}-{seed}")),),
        )
        command = c.RegisterVersion(model, **{**registration(seed), **fields})  # type: ignore[arg-type]
        self.do(command, artifact=artifact)
        highest = self.states[model_stream(model)]
        return str(highest.versions[highest.last_ordinal].number)


def registration(seed: int) -> Mapping[str, object]:
    """The fields of a registration, about 1.5 KB when encoded."""
    return {
        "code": m.Code("https://git.example.org/risk/fraud.git", sha256(str(seed).encode()).hexdigest()[:40], False),
        "related_code": (m.RelatedCode("features", None, "f" * 40),),
        "datasets": (
            m.Dataset("transactions", f"2026-{seed % 12 + 1:02}", "s3://data/transactions", digest(str(seed % 12))),
        ),
        "features": (m.FeatureSet("velocity", str(seed % 5)),),
        "metrics": {"auc": 0.8 + seed % 17 / 100, "f1": 0.7, "log loss": 0.31},
        "evaluations": (m.Evaluation(m.Dataset("holdout"), "country = DE", {"auc": 0.88}),),
        "params": {"depth": seed % 9, "rate": 0.1, "booster": "gbtree", "balanced": True, "seed": None},
        "configuration": {"threshold": 0.5},
        "signature": m.Signature(
            tuple(m.TensorField(f"x{i}", "float32", (None, 3)) for i in range(4)),
            (m.TensorField("y", "float32", (None,)),),
        ),
        "runtime": m.Runtime(7, "3.12.7", {"numpy": "2.1.0", "scikit-learn": "1.7.0"}, {"cpu": "x86-64"}),
        "run": m.Run("mlflow", f"run-{seed}"),
        "author": ("ada", "grace", "alan")[seed % 3],
        "trained_at": START + timedelta(hours=seed % 1000),
        "tags": {"team": ("risk", "cards")[seed % 2], "tier": str(seed % 3)},
        "description": f"Version number {seed} of a model",
    }


def wander(
    history: History, rng: random.Random, steps: int, models: tuple[str, ...] = ("Fraud", "churn")
) -> Iterator[None]:
    """Carry out random commands, ``steps`` of them accepted; yields after each."""
    for model in models:
        history.register_model(model, title=f"The {model}", owner="risk", tags={"a": "1"})
        yield
    done = 0
    while done < steps:
        model = rng.choice(models)
        try:
            rng.choices([do for do, _ in MOVES], [weight for _, weight in MOVES])[0](history, rng, model)
        except RegistaError:
            continue
        done += 1
        yield


def _ref(history: History, rng: random.Random, model: str) -> str:
    return str(rng.randint(1, max(1, history.states[model_stream(model)].last_ordinal)))


def _register(history: History, rng: random.Random, model: str) -> None:
    seed = rng.randrange(10_000)
    parents = (m.Parent(model, _ref(history, rng, model), "fine-tuned"),)
    history.register(model, seed, **({"parents": parents} if rng.random() < 0.5 else {}))


def _promote(history: History, rng: random.Random, model: str) -> None:
    stage = rng.choice(("staging", "production", "production", "candidate"))
    history.do(c.Promote(model, _ref(history, rng, model), stage, keep_existing=rng.random() < 0.2))


MOVES: tuple[tuple[Callable[[History, random.Random, str], object], int], ...] = (
    (_register, 6),
    (_promote, 12),
    (lambda h, _, x: h.do(c.RollBack(x, "production")), 3),
    (lambda h, r, x: h.do(c.Archive(x, _ref(h, r, x), leave_empty=r.random() < 0.5)), 2),
    (lambda h, r, x: h.do(c.AssignAlias(x, r.choice(("Champion", "shadow")), _ref(h, r, x)), actor="bob"), 4),
    (lambda h, r, x: h.do(c.RemoveAlias(x, r.choice(("champion", "shadow")))), 1),
    (lambda h, r, x: h.do(c.RecordEvaluation(x, _ref(h, r, x), {"auc": r.random()}, m.Dataset("fresh", "1"))), 2),
    (lambda h, r, x: h.do(c.ReportCheck(x, _ref(h, r, x), r.choice(("bias", "smoke")), "passed")), 2),
    (
        lambda h, r, x: h.do(
            c.UpdateVersion(x, _ref(h, r, x), description=f"d{r.random()}", tags={"t": str(r.random()), "team": None})
        ),
        2,
    ),
    (lambda h, r, x: h.do(c.UpdateModel(x, description=f"d{r.random()}", tags={"b": str(r.random())})), 1),
    (lambda h, _, x: h.do(c.RetireModel(x, leave_empty=True)), 1),
    (lambda h, _, x: h.do(c.ReviveModel(x)), 2),
)
