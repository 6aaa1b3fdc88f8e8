"""Who subscribes over HTTP needs no server package and no Kafka client; who wants Kafka is told how to get it."""

import subprocess
import sys

PROGRAM = """
import sys
import regista
regista.Subscriber("http://127.0.0.1:8080", positions=regista.FilePositions("position"))
heavy = {"aiokafka", "eventsourcing", "fastapi", "fastavro", "orjson", "prometheus_client", "sqlalchemy", "starlette"}
print(sorted(heavy & set(sys.modules)))
sys.modules["aiokafka"] = None  # as where it is not installed
try:
    regista.Subscriber(kafka="127.0.0.1:9092")
except regista.Invalid as error:
    print(error.code, error.hint)
"""


def test_a_subscriber_needs_no_more_than_the_client() -> None:
    answer = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines() == ["[]", "extra_missing pip install 'regista[kafka]'"]
