"""A training pipeline in plain Python: it brings a model of irises into production, trains a better one and leaves it.

Softmax regression on the 150 flowers that R. A. Fisher measured ("The use of multiple measurements in taxonomic
problems", 1936; ``iris.csv``). Needs nothing but Regista and a running registry (``make up``)::

    python examples/iris.py

What is left in ``build/iris`` is for you: a model, and ``run.json``, which says how it came to be::

    regista register iris build/iris/model.safetensors --from build/iris/run.json
"""

from __future__ import annotations

import csv
import json
import math
import struct
from pathlib import Path

import regista

DATA = Path(__file__).with_name("iris.csv")
OUTPUT = Path("build/iris")
SPECIES = ("setosa", "versicolor", "virginica")
Flower = tuple[list[float], int]
"""Four measurements in centimetres with a 1 behind them, for the intercept; and the species."""
Weights = list[list[float]]
"""One row for each species."""


def main() -> None:
    """First a model in production, then a better one in a file."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    model = OUTPUT / "model.safetensors"
    with regista.Client() as client:
        accuracy, run = train(model, steps=20)
        first = client.register("iris", model, run=run)
        for stage in ("staging", "production"):
            client.promote("iris", first.version, to=stage, reason=f"accuracy {accuracy:.2f}")
        print(f"iris {first.version} is in production; its accuracy is {accuracy:.2f}")
    accuracy, run = train(model, steps=500)
    run.save(OUTPUT / "run.json")
    print(f"{model} is better, with {accuracy:.2f}, and waits to be registered")


def train(file: Path, *, steps: int, rate: float = 0.1) -> tuple[float, regista.Run]:
    """Learn from two flowers of three, measure on the third, write the weights."""
    with regista.capture(snapshot=True) as run:
        run.dataset("iris", DATA)
        run.params(steps=steps, rate=rate)
        flowers = load()
        weights = fit([one for number, one in enumerate(flowers) if number % 3], steps, rate)
        test = flowers[::3]
        accuracy = sum(best(weights, x) == species for x, species in test) / len(test)
        run.metrics(accuracy=accuracy)
    write(file, weights)
    return accuracy, run


def load() -> list[Flower]:
    """All flowers."""
    with DATA.open(encoding="utf-8") as file:
        _, *lines = csv.reader(file)
    return [([*map(float, line[:4]), 1.0], SPECIES.index(line[4])) for line in lines]


def fit(flowers: list[Flower], steps: int, rate: float) -> Weights:
    """Gradient descent on the cross entropy over all flowers at once."""
    weights = [[0.0] * len(flowers[0][0]) for _ in SPECIES]
    for _ in range(steps):
        slope = [[0.0] * len(row) for row in weights]
        for x, species in flowers:
            for k, likely in enumerate(probabilities(weights, x)):
                error = likely - (k == species)
                slope[k] = [s + error * value for s, value in zip(slope[k], x, strict=True)]
        step = rate / len(flowers)
        weights = [[w - step * s for w, s in zip(*rows, strict=True)] for rows in zip(weights, slope, strict=True)]
    return weights


def probabilities(weights: Weights, x: list[float]) -> list[float]:
    """How likely each species is."""
    scores = [sum(w * value for w, value in zip(row, x, strict=True)) for row in weights]
    powers = [math.exp(score - max(scores)) for score in scores]
    return [power / sum(powers) for power in powers]


def best(weights: Weights, x: list[float]) -> int:
    """The likeliest species."""
    likely = probabilities(weights, x)
    return likely.index(max(likely))


def write(file: Path, weights: Weights) -> None:
    """A safetensors file: the length of the header, the header, the numbers."""
    numbers = [value for row in weights for value in row]
    data = struct.pack(f"<{len(numbers)}d", *numbers)
    tensor = {"dtype": "F64", "shape": [len(weights), len(weights[0])], "data_offsets": [0, len(data)]}
    header = json.dumps({"weights": tensor}).encode()
    file.write_bytes(struct.pack("<Q", len(header)) + header + data)


if __name__ == "__main__":
    try:
        main()
    except regista.Unreachable as error:
        raise SystemExit(f"{error.detail}\n{error.hint}") from None
