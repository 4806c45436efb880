import json

import pytest

from kilonova.errors import InvalidInput, NotFound
from kilonova.models import registry
from kilonova.wire import bedrock

NOVA = registry.NOVA_IDS[0]
KNOWN = [*registry.NOVA_IDS, "fake"]


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "us-gov-west-1"])
@pytest.mark.parametrize("model", KNOWN)
def test_ids_and_arns(model: str, region: str) -> None:
    assert bedrock.parse_model_id(model, region, KNOWN) == model
    for partition in ("aws", "aws-us-gov", "aws-cn"):
        arn = f"arn:{partition}:bedrock:{region}::foundation-model/{model}"
        assert bedrock.parse_model_id(arn, region, KNOWN) == model
        assert bedrock.parse_model_id(arn, "", KNOWN) == model


@pytest.mark.parametrize(
    "given",
    [
        "",
        "a b",
        "模型",
        "arn:aws:s3:::bucket",
        f"arn:aws:bedrock:nowhere::foundation-model/{NOVA}",
        "arn:aws:bedrock",
        "x" * 3000,
    ],
)
def test_no_identifier(given: str) -> None:
    with pytest.raises(InvalidInput, match="identifier is invalid"):
        bedrock.parse_model_id(given, "us-east-1", KNOWN)


def test_another_region() -> None:
    with pytest.raises(InvalidInput, match=r"eu-west-1.*us-east-1"):
        bedrock.parse_model_id(f"arn:aws:bedrock:eu-west-1::foundation-model/{NOVA}", "us-east-1", KNOWN)


def test_an_unknown_model_names_the_known_ones() -> None:
    with pytest.raises(NotFound, match=NOVA):
        bedrock.parse_model_id("amazon.titan-embed-text-v2:0", "us-east-1", KNOWN)


def test_filters() -> None:
    models = dict.fromkeys(KNOWN, registry.card("fake"))

    def ids(*query: tuple[str, str]) -> list[str]:
        return [
            entry["modelId"] for entry in json.loads(bedrock.list_models(models, "us-east-1", query))["modelSummaries"]
        ]

    assert ids() == KNOWN
    assert ids(("byOutputModality", "EMBEDDING"), ("byProvider", "kilonova"), ("byInferenceType", "ON_DEMAND")) == KNOWN
    assert ids(("byOutputModality", "TEXT")) == []
    assert ids(("byCustomizationType", "FINE_TUNING")) == []
    assert ids(("byProvider", "Amazon")) == []
    for wrong in (("byOutputModality", "SMELL"), ("byColour", "red")):
        with pytest.raises(InvalidInput):
            ids(wrong)
