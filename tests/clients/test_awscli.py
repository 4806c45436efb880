"""The AWS CLI with nothing but the environment changed."""

import base64
import json
import subprocess
from pathlib import Path

import pytest

from tests import samples
from tests.needs import AWS
from tests.servers import NOVA, Kilonova, clean_environment

pytestmark = pytest.mark.awscli


def aws(server: Kilonova, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert AWS is not None
    environment = {**clean_environment(), **server.environment(), "AWS_PAGER": "", "AWS_MAX_ATTEMPTS": "1"}
    return subprocess.run([AWS, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False)


def body(**params: object) -> str:
    return json.dumps(
        {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {"embeddingPurpose": "CLUSTERING", **params}}
    )


def test_invoke_model(fake: Kilonova, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    picture = base64.b64encode(samples.image("webp")).decode()
    for params in ({"text": {"value": "日落海滩"}}, {"image": {"format": "webp", "source": {"bytes": picture}}}):
        request = tmp_path / "request.json"
        request.write_text(body(embeddingDimension=256, **params))
        done = aws(
            fake, "bedrock-runtime", "invoke-model", "--model-id", NOVA, "--body", f"fileb://{request}", str(out)
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["contentType"] == "application/json"
        assert len(json.loads(out.read_bytes())["embeddings"][0]["embedding"]) == 256


def test_an_error_is_shown(fake: Kilonova, tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text(body())
    done = aws(fake, "bedrock-runtime", "invoke-model", "--model-id", NOVA, "--body", f"fileb://{request}", "/dev/null")
    assert done.returncode != 0
    assert "(ValidationException)" in done.stderr
    assert "exactly one of [text, image, audio, video]" in done.stderr


def test_list_foundation_models(fake: Kilonova) -> None:
    done = aws(fake, "bedrock", "list-foundation-models", "--by-output-modality", "EMBEDDING")
    assert NOVA in [one["modelId"] for one in json.loads(done.stdout)["modelSummaries"]]
