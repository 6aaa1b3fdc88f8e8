"""A missing engine and a skipped test are told, and are failures where everything is required."""

from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
ABSENT = "\nENGINES['reactor'] = lambda: 'it is switched off'\n"


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv("REGISTA_TEST_REQUIRE", raising=False)
    pytester.makeini("""
        [pytest]
        addopts = --import-mode=importlib -m "not soak"
        markers =
            soak: long
            engine(name): needs it
        asyncio_default_fixture_loop_scope = function
    """)
    pytester.path.joinpath("conftest.py").write_text(CONFTEST.read_text() + ABSENT)
    return pytester


NEEDS_THE_REACTOR = """
    import pytest

    @pytest.mark.engine("reactor")
    def test_reactor():
        pass

    def test_plain():
        pass
"""


def test_a_test_is_skipped_where_its_engine_is_missing_and_the_reason_is_told(project: pytest.Pytester) -> None:
    project.makepyfile(NEEDS_THE_REACTOR)
    result = project.runpytest_inprocess()
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["left out: *reactor (it is switched off)"])


def test_an_engine_that_does_not_start_is_missing_after_all(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.makepyfile("from tests.support import engines\ndef test_it():\n    engines.lost('vapour', 'it evaporated')")
    result = project.runpytest_inprocess("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*engine vapour: it evaporated*"])
    monkeypatch.setenv("REGISTA_TEST_REQUIRE", "all")
    project.runpytest_inprocess().assert_outcomes(failed=1)


@pytest.mark.parametrize("required", ["all", "reactor", "git, reactor"])
def test_a_required_engine_that_is_missing_is_a_failure(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, required: str
) -> None:
    monkeypatch.setenv("REGISTA_TEST_REQUIRE", required)
    project.makepyfile(NEEDS_THE_REACTOR)
    result = project.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*reactor is required here: it is switched off*"])


@pytest.mark.parametrize(
    "body",
    [
        "import pytest\ndef test_it():\n    pytest.skip('no wish')",
        "import pytest\npytest.skip('no wish', allow_module_level=True)",
    ],
)
def test_where_all_is_required_any_skip_is_a_failure(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    project.makepyfile(body)
    assert project.runpytest_inprocess().ret in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
    monkeypatch.setenv("REGISTA_TEST_REQUIRE", "all")
    result = project.runpytest_inprocess()
    assert result.ret in {pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED}
    result.stdout.fnmatch_lines(["*skipped where every test is required: *no wish*"])


def test_an_engine_nobody_knows_is_a_usage_error(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTA_TEST_REQUIRE", "kafak")
    result = project.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*names no engine: kafak*"])


def test_long_tests_are_left_out_and_their_number_is_told(project: pytest.Pytester) -> None:
    project.makepyfile("import pytest\n@pytest.mark.soak\ndef test_long():\n    pass\ndef test_short():\n    pass")
    result = project.runpytest_inprocess()
    result.assert_outcomes(passed=1, deselected=1)
    result.stdout.fnmatch_lines(["left out: soak: 1 (make soak)*"])
