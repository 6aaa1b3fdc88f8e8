"""Train two models on data that ships with scikit-learn, and register every version of them.

``tumour`` tells malignant from benign (the breast cancer data), ``digits`` reads handwritten digits. They are retrained,
recalibrated and given another interface; versions are checked, promoted, rolled back and archived, and every step
leaves an event that says who, when and why.

Needs a running registry (``make up``, or another at ``REGISTA_URL``)::

    pip install scikit-learn pandas
    python examples/train_and_register.py
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import sklearn
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, recall_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

import regista


@dataclass(frozen=True)
class Task:
    """Data to learn from, and the columns that are used."""

    name: str
    dataset: str
    frame: Any
    columns: list[str]


def main(client: regista.Client) -> None:
    """The whole story, in order."""
    tumour(client)
    digits(client)


def tumour(client: regista.Client) -> None:
    """A logistic regression: first, retrained, recalibrated, and with another interface, which is rolled back."""
    data = load_breast_cancer(as_frame=True)
    task = Task("tumour", "breast-cancer-wisconsin", data.frame, list(data.feature_names))

    first = train(client, task, make_pipeline(StandardScaler(), LogisticRegression(C=1.0)))
    to_production(client, task, first.version, "the first model")

    retrained = train(client, task, make_pipeline(StandardScaler(), LogisticRegression(C=0.1)))
    to_production(client, task, retrained.version, "less overfitted")

    recalibrated = train(client, task, retrained.estimator, threshold=0.35)
    to_production(client, task, recalibrated.version, "a miss costs more than a false alarm")
    client.set_alias("tumour", "champion", recalibrated.version, reason="best recall so far")

    means = Task(task.name, task.dataset, task.frame, [name for name in task.columns if name.startswith("mean ")])
    smaller = train(client, means, make_pipeline(StandardScaler(), LogisticRegression(C=0.1)), threshold=0.35)
    to_production(client, means, smaller.version, "a third of the measurements is enough")
    back = client.rollback("tumour", reason="the clinics still send all measurements")
    say(task, back.version, f"back in production, instead of {back.previous_version}")


def digits(client: regista.Client) -> None:
    """A random forest: first, grown, and one that a failed check keeps out of production."""
    data = load_digits(as_frame=True)
    task = Task("digits", "optical-digits", data.frame, list(data.feature_names))

    first = train(client, task, RandomForestClassifier(n_estimators=20))
    to_production(client, task, first.version, "reads nine digits of ten")

    grown = train(client, task, RandomForestClassifier(n_estimators=200))
    to_production(client, task, grown.version, "ten times the trees")

    shallow = train(client, task, RandomForestClassifier(n_estimators=200, max_depth=3))
    client.check("digits", shallow.version, "accuracy-floor", "failed", summary="accuracy is under 0.95")
    try:
        to_production(client, task, shallow.version, "smaller and faster")
    except regista.Refused as refusal:
        say(task, shallow.version, f"refused: {refusal.reasons[0].detail}")
    client.archive("digits", shallow.version, reason="fails the accuracy floor")


@dataclass(frozen=True)
class Trained:
    """A registered version, and the estimator behind it."""

    version: str
    estimator: Any


def train(client: regista.Client, task: Task, estimator: Any, *, threshold: float | None = None) -> Trained:
    """Fit (unless fitted before), measure, register. A threshold over the same weights changes the configuration only."""
    with regista.capture(snapshot=True) as run:
        seed = run.seed(42)
        run.dataset(task.dataset, task.frame, version=f"scikit-learn-{sklearn.__version__}")
        inputs, labels = task.frame[task.columns], task.frame["target"]
        learn, test, expected, truth = train_test_split(inputs, labels, test_size=0.3, random_state=seed)
        fitted = is_fitted(estimator)
        if not fitted:
            estimator.fit(learn, expected)
        if threshold is not None:
            run.configuration(threshold=threshold)
        run.metrics(measure(estimator, test, truth, threshold))
    answer = client.register(
        task.name,
        estimator,
        run=run,
        example=test,
        change="configuration" if fitted else None,
        tags={"team": "research"},
    )
    why = " ".join(answer.numbering.explanation) if answer.numbering else ""
    say(task, answer.version, shorten(why, 150, placeholder=" …"))
    return Trained(answer.version, estimator)


def is_fitted(estimator: Any) -> bool:
    """Whether an estimator was trained before."""
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def measure(estimator: Any, test: Any, truth: Any, threshold: float | None) -> dict[str, float]:
    """Accuracy; for two classes also the area under the ROC curve, and recall at the threshold."""
    guessed = estimator.predict(test)
    if len(estimator.classes_) > 2:
        return {"accuracy": float(accuracy_score(truth, guessed))}
    likely = estimator.predict_proba(test)[:, 1]
    positive = likely >= (0.5 if threshold is None else threshold)
    return {
        "accuracy": float(accuracy_score(truth, positive)),
        "auc": float(roc_auc_score(truth, likely)),
        "recall": float(recall_score(truth, positive)),
    }


def to_production(client: regista.Client, task: Task, version: str, reason: str) -> None:
    """Through staging into production, so that every gate is passed."""
    client.promote(task.name, version, to="staging", reason=reason)
    answer = client.promote(task.name, version, to="production", reason=reason)
    gone = ", ".join(displaced.version for displaced in answer.displaced)
    say(task, version, f"in production: {reason}" + (f" ({gone} archived)" if gone else ""))


def say(task: Task, version: str, what: str) -> None:
    """One line of the story."""
    print(f"{task.name:8} {version:7} {what}")


if __name__ == "__main__":
    try:
        with regista.Client() as client:
            main(client)
    except regista.Unreachable as error:
        raise SystemExit(f"{error.detail}\n{error.hint}") from None
