"""Certificates for tests, made with openssl: an authority of their own, valid for 127.0.0.1 and for two days."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
_DAYS = ("-days", "2")


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files; ``both`` is the key and the certificate in one."""

    certificate: Path
    key: Path
    both: Path


class Authority:
    """Signs what it makes; ``certificate`` is what the other side has to trust."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.certificate = folder / "ca.pem"
        self._key = folder / "ca.key"
        extensions = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
        made = ("-keyout", self._key, "-out", self.certificate)
        _openssl("req", "-x509", *_KEY, *_DAYS, *made, "-subj", "/CN=Tests", *extensions)

    def issue(self, name: str) -> Certificate:
        """A key with its certificate, for a server on 127.0.0.1 or for a client of this name."""
        key, request, signed, both = (self._folder / f"{name}.{end}" for end in ("key", "csr", "pem", "both.pem"))
        names = ("-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost")
        _openssl("req", *_KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}", *names)
        signer = ("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-copy_extensions", "copy")
        _openssl("x509", "-req", "-in", request, *signer, *_DAYS, "-out", signed)
        both.write_bytes(key.read_bytes() + signed.read_bytes())
        return Certificate(signed, key, both)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)
