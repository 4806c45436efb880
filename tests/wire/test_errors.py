import json

import botocore.loaders
import httpx
import pytest

from kilonova import errors
from kilonova.wire import bedrock, openai


def test_the_table_is_botocores() -> None:
    shapes = botocore.loaders.Loader().load_service_model("bedrock-runtime", "service-2")["shapes"]
    theirs = {name: shape["error"]["httpStatusCode"] for name, shape in shapes.items() if shape.get("exception")}
    theirs.pop("ModelStreamErrorException")  # of streaming operations, which embeddings have none of
    ours = dict(bedrock.ERRORS.values())
    ours.pop("UnknownOperationException")
    assert ours == theirs


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_renders_at_every_edge(name: str) -> None:
    error = getattr(errors, name)("It is broken.", "Mend it.")
    status, headers, body = bedrock.error_body(error)
    assert (headers["x-amzn-errortype"], status) in bedrock.ERRORS.values()
    assert json.loads(body) == {"message": "It is broken. Mend it."}
    status, _, body = openai.error_body(error)
    assert json.loads(body)["error"]["message"] == "It is broken. Mend it."
    assert httpx.codes.is_error(status)


def test_an_error_survives_the_way_between_processes() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(errors.InvalidInput("message", "hint")))
    assert (error.message, error.hint, bedrock.name_and_status(error)) == (
        "message",
        "hint",
        ("ValidationException", 400),
    )
