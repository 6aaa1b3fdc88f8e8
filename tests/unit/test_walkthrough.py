"""A document's commands are run as a reader runs them, and a difference is always told."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from walkthrough import Mismatch, Reader, Step, matches, steps

SERVER = """\
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *parts):
        pass
print("Serving on", sys.argv[1], flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def reader(tmp_path: Path, port: int) -> Iterator[Reader]:
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "Makefile").write_text(f"up:\n\t@exec {sys.executable} server.py {port}\ntest:\n\tfalse\n")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    url = f"http://127.0.0.1:{port}"
    with Reader(
        tmp_path, environment, url=url, rewrite=lambda text: text.replace(str(port), "8080"), timeout=10
    ) as reader:
        yield reader


def follow(reader: Reader, document: str) -> None:
    for step in steps(document):
        reader.follow(step)


def test_commands_and_what_they_print_are_read_from_console_blocks_alone() -> None:
    document = """
```console
$ echo one \\
    two
one two

$ true
```
```sh
$ not this
```
````text
```console
$ nor this
```
````
```console exit=3
$ exit 3
```
"""
    assert list(steps(document)) == [
        Step(3, "echo one \\\n    two", ("one two",)),
        Step(7, "true", ()),
        Step(18, "exit 3", (), 3),
    ]


def test_a_block_that_does_not_begin_with_a_command_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2"):
        list(steps("```console\nstray output\n```"))


@pytest.mark.parametrize(
    ("expected", "output", "same"),
    [
        (("version 1.0.0",), "version 1.0.0\n", True),
        (("version 1.0.0",), "version 1.0.1\n", False),
        (("version 1.0.0",), "version 1x0x0\n", False),
        (("at … by ada",), "at 12:00 by ada", True),
        (("at … by ada",), "at 12:00\nby ada", False),
        (("a", "…", "b"), "a\nb", True),
        (("a", "…", "b"), "a\n1\n2\nb", True),
        (("a", "…"), "b\n1", False),
        (("a",), "a\nmore", False),
        (("a", "b"), "a", False),
        (("bold",), "\n\x1b[1mbold\x1b[0m   \n\n", True),
        ((), "anything", True),
    ],
)
def test_an_ellipsis_stands_for_anything_in_a_line_or_for_any_lines(
    expected: tuple[str, ...], output: str, same: bool
) -> None:
    assert matches(expected, output) is same


def test_what_a_command_sets_is_there_for_the_next_one(reader: Reader) -> None:
    follow(
        reader, "```console\n$ export WHO=ada && mkdir deep && cd deep\n$ echo $WHO ${PWD##*/} $LEAKED\nada deep\n```"
    )


def test_standard_error_is_part_of_what_is_shown(reader: Reader) -> None:
    follow(reader, "```console\n$ echo oops >&2\noops\n```")


def test_an_output_that_differs_is_told_with_both_sides(reader: Reader) -> None:
    with pytest.raises(Mismatch, match=r"line 2: \$ echo no\n(.|\n)*shows:\nyes\n\nit printed:\nno"):
        follow(reader, "```console\n$ echo no\nyes\n```")


def test_a_status_that_differs_is_told(reader: Reader) -> None:
    with pytest.raises(Mismatch, match="exited with 1, not 0"):
        follow(reader, "```console\n$ false\n```")
    follow(reader, "```console exit=1\n$ false\n```")


@pytest.mark.parametrize("command", ["exit 0", "sleep 30"])
def test_a_shell_that_ends_or_hangs_is_told(tmp_path: Path, command: str) -> None:
    with (
        Reader(tmp_path, {"PATH": os.environ["PATH"]}, timeout=0.5) as reader,
        pytest.raises(Mismatch, match=r"the shell ended|not done after"),
    ):
        reader.follow(Step(1, command, ()))


def test_a_broken_command_does_not_take_the_session_along(reader: Reader) -> None:
    with pytest.raises(Mismatch, match="exited with"):
        reader.follow(Step(1, "if then (", ()))
    reader.follow(Step(2, "echo still here", ("still here",)))


@pytest.mark.engine("make")
def test_a_server_runs_beside_the_session_until_its_end(reader: Reader, port: int) -> None:
    follow(reader, "```console\n$ make up\nServing on 8080\n\n$ echo next\nnext\n```")
    reader.__exit__(None, None, None)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.engine("make")
def test_a_server_that_ends_or_prints_something_else_is_told(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text("raise SystemExit('no luck')")
    with pytest.raises(Mismatch, match=r"it ended with 2; it printed:\n(.|\n)*no luck"):
        reader.follow(Step(1, "make up", ()))


@pytest.mark.engine("make")
def test_a_server_is_not_mistaken_for_another_one(reader: Reader) -> None:
    reader.follow(Step(1, "make up", ()))
    with pytest.raises(Mismatch, match="something else answers"):
        reader.follow(Step(1, "make up", ()))


@pytest.mark.engine("make")
def test_the_tests_are_not_run_inside_the_tests_but_their_target_must_exist(reader: Reader, tmp_path: Path) -> None:
    reader.follow(Step(1, "make test", ("3 passed",)))
    (tmp_path / "Makefile").write_text("")
    with pytest.raises(Mismatch, match="exited with 2"):
        reader.follow(Step(1, "make test", ()))


def test_a_time_and_a_hash_stand_for_any_other_and_nothing_else() -> None:
    shown = (f"at 2026-05-04 12:00:00Z  {'a1' * 32}",)
    assert matches(shown, f"at 2031-12-24 18:30:01Z  {'0f' * 32}\n")
    assert not matches(shown, f"at 2031-12-24 18:30  {'0f' * 32}\n")
    assert not matches(shown, f"at 2031-12-24 18:30:01Z  {'0f' * 31}\n")
