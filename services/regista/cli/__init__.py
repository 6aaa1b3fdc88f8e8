"""The command line: ``regista``. Nothing is decided here; every command is one operation of the SDK and a table."""

from regista.cli.loading import loading

__all__ = ["main"]


def main() -> None:
    """Run the command line with the arguments of this process."""
    with loading():
        from regista.cli import app  # noqa: PLC0415 - importing it is what takes the time
    app.main()
