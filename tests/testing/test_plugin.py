"""The fixtures that ``kilonova.testing`` gives to the tests of others, as a project of its own sees them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from kilonova.testing.server import KilonovaServer
from tests.servers import invoke

# not by its entry point, so that it is this tree's
PYTEST = (
    *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
    *("-p", "no:kilonova", "-p", "kilonova.testing.plugin"),
)


def run(folder: Path, code: str, *options: str, conftest: str = "") -> subprocess.CompletedProcess[str]:
    """Run a file of tests in a process of its own."""
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    (folder / "conftest.py").write_text(textwrap.dedent(conftest))
    (folder / "test_mine.py").write_text(textwrap.dedent(code), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTEST_"))}
    environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"  # of whoever runs the tests: must not be used
    return subprocess.run(
        [*PYTEST, *options], cwd=folder, env=environment, capture_output=True, text=True, timeout=110, check=False
    )


def test_one_line_gives_a_client_and_nothing_is_left(tmp_path: Path) -> None:
    code = """
    import json, os
    from pathlib import Path

    BEFORE = dict(os.environ)

    def test_bedrock(bedrock, kilonova_server):
        params = {"embeddingPurpose": "GENERIC_INDEX", "embeddingDimension": 256, "text": {
            "truncationMode": "END", "value": "日落海滩"}}
        body = json.dumps({"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": params})
        answer = bedrock.invoke_model(modelId="amazon.nova-2-multimodal-embeddings-v1:0", body=body)
        assert len(json.loads(answer["body"].read())["embeddings"][0]["embedding"]) == 256
        Path("pid").write_text(f"{kilonova_server.process.pid} {kilonova_server.log.parent}")

    def test_own_client(kilonova_environment):
        import boto3
        assert boto3.client("bedrock").list_foundation_models()["modelSummaries"]
        assert os.environ["AWS_ENDPOINT_URL_BEDROCK"].startswith("http://127.0.0.1:")

    def test_environment_is_as_before():
        now = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        assert now == {name: value for name, value in BEFORE.items() if name != "PYTEST_CURRENT_TEST"}
    """
    done = run(tmp_path, code)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
    pid, home = (tmp_path / "pid").read_text().split(" ", 1)
    assert not psutil.pid_exists(int(pid))
    assert not Path(home).exists()


def test_options_are_the_projects_own(tmp_path: Path) -> None:
    conftest = """
    import pytest

    @pytest.fixture(scope="session")
    def kilonova_options():
        return ("--batch-seconds", "1")
    """
    code = """
    import json, pytest

    def test_hang(bedrock):
        params = {"embeddingPurpose": "GENERIC_INDEX", "text": {"truncationMode": "END", "value": "fake: hang"}}
        body = json.dumps({"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": params})
        with pytest.raises(bedrock.exceptions.ModelTimeoutException):
            bedrock.invoke_model(modelId="fake", body=body)
    """
    done = run(tmp_path, code, conftest=conftest)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    conftest = """
    import pytest

    @pytest.fixture(scope="session")
    def kilonova_options():
        return ("--no-such-option",)
    """
    done = run(tmp_path, "def test_it(bedrock): pass", conftest=conftest)
    assert done.returncode == 1
    assert "The server ended with status 2" in done.stdout
    assert "--no-such-option" in done.stdout


def test_nothing_is_imported_before_it_is_used(tmp_path: Path) -> None:
    code = """
    import sys

    def test_modules():
        heavy = ("boto3", "numpy", "av", "kilonova.testing.server", "kilonova.testing.models", "kilonova.engine")
        assert [name for name in heavy if name in sys.modules] == []
    """
    done = run(tmp_path, code)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    code = "import sys, kilonova, kilonova.testing, kilonova.cli.main; print(*({'pytest', 'boto3'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_chatty_server_does_not_wait_for_a_reader() -> None:
    with KilonovaServer("--log-level", "info") as server:
        client = server.wait_ready().client()
        for number in range(1, 2_000):
            invoke(client, text={"truncationMode": "END", "value": "日落"})
            if number % 50 == 0 and server.log.stat().st_size > 100_000:
                return  # a pipe that nobody reads holds 65,536 bytes
    raise AssertionError("it does not say enough to tell")


def test_one_that_ended_is_not_waited_for() -> None:
    with KilonovaServer() as server:
        server.process.kill()
        with pytest.raises(RuntimeError, match="ended with status -9"):
            server.wait_ready()
