"""Shapes of Amazon Bedrock around the model's own JSON: model ids, error answers, the control plane."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from kilonova import errors
from kilonova.errors import InvalidInput, KilonovaError, NotFound
from kilonova.media.content import Modality
from kilonova.models.card import ModelCard

__all__ = ["ERRORS", "error_body", "list_models", "model_details", "name_and_status", "parse_model_id"]

_ARN = re.compile(r"arn:aws(?:-[^:]+)?:bedrock:([a-z0-9-]{1,20})::foundation-model/(.+)")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,2047}")

# The filters of ListFoundationModels and the values botocore's service model allows for each.
_FILTERS = {
    "byProvider": None,
    "byCustomizationType": ("FINE_TUNING", "CONTINUED_PRE_TRAINING", "DISTILLATION"),
    "byOutputModality": ("TEXT", "IMAGE", "EMBEDDING"),
    "byInferenceType": ("ON_DEMAND", "PROVISIONED"),
}


def parse_model_id(given: str, region: str, known: Sequence[str]) -> str:
    """The model's id out of what a client sends: an id, or the ARN of a foundation model.

    Args:
        given: the path's decoded ``modelId``.
        region: the region that the request was signed for, "" when it is not known.
        known: ids that are served.

    Raises:
        InvalidInput: no model identifier, or an ARN of another region.
        NotFound: well formed, but not served.
    """
    if given in known:  # that of a folder is its path
        return given
    model = given
    if given.startswith("arn:"):
        match = _ARN.fullmatch(given)
        if match is None or not _REGION.fullmatch(match[1]):
            raise InvalidInput(
                f"The provided model identifier is invalid: {given[:200]}.",
                "An ARN reads arn:aws:bedrock:REGION::foundation-model/MODEL_ID.",
            )
        if region and match[1] != region:
            raise InvalidInput(
                f"The model's ARN names region {match[1]}, but the request is for {region}.",
                f"Use arn:aws:bedrock:{region}::foundation-model/{match[2]}.",
            )
        model = match[2]
    elif not _PLAIN.fullmatch(given):
        raise InvalidInput(
            "The provided model identifier is invalid.",
            "Send a model id such as amazon.nova-2-multimodal-embeddings-v1:0.",
        )
    if model not in known:
        raise NotFound(f"Could not resolve the foundation model from {given[:200]}.", f"Served: {', '.join(known)}.")
    return model


#: What Bedrock calls our errors, and their HTTP statuses: botocore's service model of ``bedrock-runtime`` 2023-09-30.
#: ``UnknownOperationException`` is what AWS front ends answer to a path that no operation has.
ERRORS: Mapping[type[KilonovaError], tuple[str, int]] = {
    errors.InvalidInput: ("ValidationException", 400),
    errors.AccessDenied: ("AccessDeniedException", 403),
    errors.NotFound: ("ResourceNotFoundException", 404),
    errors.UnknownOperation: ("UnknownOperationException", 404),
    errors.Conflict: ("ConflictException", 400),
    errors.ModelTimeout: ("ModelTimeoutException", 408),
    errors.ModelFailed: ("ModelErrorException", 424),
    errors.Busy: ("ThrottlingException", 429),
    errors.NotReady: ("ModelNotReadyException", 429),
    errors.QuotaExceeded: ("ServiceQuotaExceededException", 400),
    errors.Unavailable: ("ServiceUnavailableException", 503),
    KilonovaError: ("InternalServerException", 500),
}


def name_and_status(error: KilonovaError) -> tuple[str, int]:
    """What Bedrock calls an error, and its HTTP status."""
    return next(ERRORS[kind] for kind in type(error).__mro__ if kind in ERRORS)


def error_body(error: KilonovaError) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an error answer (REST-JSON protocol)."""
    name, status = name_and_status(error)
    return status, {"x-amzn-errortype": name}, orjson.dumps({"message": str(error)})


def list_models(models: Mapping[str, ModelCard], region: str, query: Sequence[tuple[str, str]]) -> bytes:
    """The answer of ListFoundationModels for its query parameters.

    Raises:
        InvalidInput: a filter has a value that the operation does not know.
    """
    summaries = [_summary(model, card, region) for model, card in models.items()]
    for name, value in query:
        if name not in _FILTERS:
            raise InvalidInput(f"Unknown parameter {name}.", f"Known: {', '.join(_FILTERS)}.")
        allowed = _FILTERS[name]
        if allowed is not None and value not in allowed:
            raise InvalidInput(
                f"1 validation error detected: Value '{value[:100]}' at '{name}' failed to satisfy constraint: "
                f"Member must satisfy enum value set: [{', '.join(allowed)}]"
            )
        summaries = [summary for summary in summaries if _matches(summary, name, value)]
    return orjson.dumps({"modelSummaries": summaries})


def model_details(model: str, card: ModelCard, region: str) -> bytes:
    """The answer of GetFoundationModel."""
    return orjson.dumps({"modelDetails": _summary(model, card, region)})


def _summary(model: str, card: ModelCard, region: str) -> dict[str, Any]:
    return {
        "modelArn": f"arn:aws:bedrock:{region}::foundation-model/{model}",
        "modelId": model,
        "modelName": card.title,
        "providerName": "Kilonova",
        "inputModalities": [str(modality).upper() for modality in Modality if modality in card.modalities],
        "outputModalities": ["EMBEDDING"],
        "responseStreamingSupported": False,
        "customizationsSupported": [],
        "inferenceTypesSupported": ["ON_DEMAND"],
        "modelLifecycle": {"status": "ACTIVE"},
    }


def _matches(summary: Mapping[str, Any], name: str, value: str) -> bool:
    match name:
        case "byProvider":
            return bool(summary["providerName"].lower() == value.lower())
        case "byOutputModality":
            return value in summary["outputModalities"]
        case "byInferenceType":
            return value in summary["inferenceTypesSupported"]
        case _:
            return value in summary["customizationsSupported"]
