"""A receiver of webhooks: checks that they are from the registry, passes over what it has, and says what happened.

    pip install standardwebhooks
    regista webhook add http://127.0.0.1:9000/hook --type "version.*"      # prints the secret, once
    WEBHOOK_SECRET=whsec_… python webhook_receiver.py 9000

The registry calls addresses of this machine only where it was started with REGISTA_ALLOW_PRIVATE=true. In a container,
WEBHOOK_HOST=0.0.0.0 lets others reach it.
"""

import os
import sqlite3
import sys
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from standardwebhooks import Webhook, WebhookVerificationError

HERE = os.environ.get("WEBHOOK_HOST", "127.0.0.1")
LARGEST = 2**20


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 once an event is done with: everything else is sent again."""

    verifier: Webhook
    seen: sqlite3.Connection

    def do_POST(self) -> None:
        """Take an event."""
        length = int(self.headers.get("content-length", 0))
        if not 0 < length <= LARGEST:
            self.answer(413)
            return
        body = self.rfile.read(length)
        try:
            event = self.verifier.verify(body, dict(self.headers))
        except WebhookVerificationError:
            self.answer(401)
            return
        # The same event has the same id however often it is sent. What is done about it belongs in the same transaction.
        with self.seen:
            new = self.seen.execute("INSERT OR IGNORE INTO seen VALUES (?)", [self.headers["webhook-id"]]).rowcount
            if new:
                print(f"{event['position']} {event['actor']} {event['type']} {event['subject']}", flush=True)
        self.answer(204)

    def answer(self, status: int) -> None:
        """Say how it went."""
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of requests."""


def main() -> None:
    Receiver.verifier = Webhook(os.environ["WEBHOOK_SECRET"])
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    with closing(sqlite3.connect(Path("webhooks-seen.db"))) as seen, HTTPServer((HERE, port), Receiver) as server:
        seen.execute("CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY)")
        Receiver.seen = seen
        print(f"listening at http://{HERE}:{server.server_port}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
