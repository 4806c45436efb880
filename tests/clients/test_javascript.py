"""The AWS SDK for JavaScript with nothing but the environment changed."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.servers import NOVA, Kilonova, clean_environment, invoke

FOLDER = Path(__file__).with_name("javascript")
pytestmark = pytest.mark.node


def test_the_sdk(fake: Kilonova) -> None:
    environment = {**clean_environment(), **fake.environment()}
    done = subprocess.run(
        ["node", "invoke.mjs"], cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    here = invoke(fake.client(), embeddingDimension=384, text={"value": "日落海滩"})
    assert found["embedding"] == here["embeddings"][0]["embedding"]
    assert found["refused"]["caught"]
    assert found["refused"]["name"] == "ValidationException"
    assert "exactly one of [value, source]" in found["refused"]["message"]
    assert NOVA in found["models"]
