"""The command line: ``regista``. Nothing is decided here; every command is one operation of the SDK and a table."""

from regista.cli.app import main

__all__ = ["main"]
