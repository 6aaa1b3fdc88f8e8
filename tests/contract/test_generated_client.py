"""A client generated from the OpenAPI document works: it registers, promotes, and reads what is in production."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.server import RunningServer

STORY = """
import sys
from datetime import datetime, timezone
from registry_client import Client
from registry_client.api.models import register_model
from registry_client.api.stages import promote
from registry_client.api.versions import register_version
from registry_client.models import Promote, RegisterModel, RegisterVersion

client = Client(base_url=sys.argv[1], raise_on_unexpected_status=True)
register_model.sync(client=client, body=RegisterModel(name="fraud"))
body = RegisterVersion.from_dict({
    "artifact": {"uri": "s3://models/fraud.onnx", "digest": "sha256:" + "0" * 64, "size": 10},
    "code": {"commit": "0" * 40},
    "datasets": [{"name": "transactions", "version": "1"}],
    "metrics": {"auc": 0.9},
    "author": "ann",
    "trained_at": datetime.now(timezone.utc).isoformat(),
})
registered = register_version.sync("fraud", client=client, body=body)
for stage in ("staging", "production"):
    written = promote.sync("fraud", registered.version, client=client, body=Promote(to=stage, reason="generated"))
print(written.version, written.stage)
"""


def test_a_client_generated_from_the_document_registers_and_promotes(tmp_path: Path) -> None:
    server = RunningServer(tmp_path / "data")
    try:
        with server.client() as client:
            document = client.get("/openapi.json").json()
        (tmp_path / "openapi.json").write_text(json.dumps(document))
        (tmp_path / "config.yml").write_text("package_name_override: registry_client\npost_hooks: []\n")
        generate = [sys.executable, "-m", "openapi_python_client", "generate", "--path", "openapi.json"]
        options = ["--config", "config.yml", "--meta", "none", "--output-path", "registry_client"]
        made = subprocess.run([*generate, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stdout + made.stderr
        (tmp_path / "story.py").write_text(STORY)
        story = [sys.executable, "story.py", server.url]
        told = subprocess.run(story, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert told.stdout.split() == ["1.0.0", "production"], told.stderr
    finally:
        server.close()
