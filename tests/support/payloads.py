"""Request bodies that the registry accepts."""

from __future__ import annotations

from typing import Any


def version_body(number: str = "auto", *, auc: float = 0.9, seed: int = 0) -> dict[str, Any]:
    """A complete registration whose bytes lie outside; another seed is another artifact."""
    digest = f"{seed:064x}"
    return {
        "version": number,
        "artifact": {
            "uri": f"s3://models/{seed}/model.onnx",
            "format": "onnx",
            "files": [{"path": "model.onnx", "size": 1000 + seed, "sha256": f"sha256:{digest}"}],
        },
        "code": {"repository": "https://git.example/models", "commit": "a" * 40},
        "datasets": [{"name": "transactions", "version": "2026-05", "digest": f"sha256:{'d' * 64}"}],
        "metrics": {"auc": auc},
        "author": "ann",
        "trained_at": "2026-05-01T12:00:00Z",
    }


def numbered_version(number: int, **more: Any) -> dict[str, Any]:
    """A registration of bytes and of data of this number, which both lie outside."""
    return {
        "artifact": {"uri": f"s3://m/{number}", "digest": f"sha256:{number:064x}", "size": 1, "format": "onnx"},
        "code": {"repository": "https://git.example/fraud", "commit": "0" * 40},
        "datasets": [{"name": "transactions", "version": str(number)}],
        "metrics": {"auc": 0.9},
        "author": "ann",
        "trained_at": "2026-05-04T12:00:00Z",
        **more,
    }
