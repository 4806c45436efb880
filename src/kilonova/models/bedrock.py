"""Amazon Nova Multimodal Embeddings itself, on Amazon Bedrock: ``bedrock:amazon.nova-2-multimodal-embeddings-v1:0``.

Files are sent as they came; what was cut out of a file is encoded again: PNG, WAV, MP4. Credentials and region come
from the standard AWS variables and files, and so does the endpoint: it must not be a server that runs this very model.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import boto3
import botocore.exceptions
import numpy as np
import orjson
from botocore.config import Config

from kilonova.errors import AccessDenied, Busy, InvalidInput, KilonovaError, ModelFailed, Unavailable
from kilonova.media.content import Audio, Content, Detail, Encoded, Image, Input, Mixed, Modality, Text, Video
from kilonova.media.sniff import sniff
from kilonova.media.wav import encode_wav
from kilonova.models.base import Embedded, EmbeddingModel, Prepared
from kilonova.models.card import ModelCard, Purpose

__all__ = ["BedrockNova", "describe", "load"]

_PREFIX = "bedrock:"
_AT_ONCE = 8
_NATIVE = 3072
# What ``sniff`` calls containers, as Nova's formats; WebM is Matroska, and QuickTime's begin like MP4.
_FORMATS = {"matroska": "mkv", "asf": "wmv"}
_THROTTLED = ("ThrottlingException", "ModelNotReadyException", "ServiceQuotaExceededException")
_REFUSED = (
    "AccessDeniedException",
    "UnrecognizedClientException",
    "ExpiredTokenException",
    "InvalidSignatureException",
)


def describe(name: str) -> ModelCard:
    """The card of a model of Bedrock."""
    return ModelCard(
        id=name,
        title="Amazon Nova Multimodal Embeddings",
        licence="Amazon Bedrock's terms; each input is paid for",
        source="Amazon Bedrock",
        modalities=frozenset(Modality),
        native_dimension=_NATIVE,
        trained_dimensions=(256, 384, 1024, _NATIVE),
        max_tokens=8192,
        languages="200 and more",
        best_for="the vectors that Bedrock gives, in collections and searches of your own",
        takes_files=True,
    )


def load(name: str) -> BedrockNova:
    """The model of that name."""
    return BedrockNova(name)


class BedrockNova(EmbeddingModel):
    """Every content is a request of its own, eight at a time, repeated with jitter where Bedrock is busy."""

    def __init__(self, name: str) -> None:
        self.card, self._model = describe(name), name.removeprefix(_PREFIX)
        retries = {"mode": "standard", "max_attempts": 6}
        config = Config(retries=retries, connect_timeout=5, read_timeout=60, max_pool_connections=_AT_ONCE)
        try:
            self._client: Any = boto3.session.Session().client("bedrock-runtime", config=config)
        except botocore.exceptions.BotoCoreError as error:
            raise Unavailable(f"Bedrock cannot be used: {error}", "Set AWS_REGION and credentials.") from None
        self._threads = ThreadPoolExecutor(_AT_ONCE)

    def prepare(self, content: Input, purpose: Purpose) -> Prepared:
        if isinstance(content, Mixed):
            raise self.card.refusal(content)
        params = {"embeddingPurpose": str(purpose), "embeddingDimension": _NATIVE, **_asked(content)}
        body = {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": params}
        return Prepared(orjson.dumps(body), 0)  # what it costs, Bedrock says

    def embed(self, batch: Sequence[Prepared]) -> list[Embedded]:
        return list(self._threads.map(self._one, batch))

    def _one(self, prepared: Prepared) -> Embedded:
        try:
            answer = self._client.invoke_model(modelId=self._model, body=prepared.data)
            (found,) = orjson.loads(answer["body"].read())["embeddings"]
        except botocore.exceptions.ClientError as error:
            raise _refusal(error) from None
        except (botocore.exceptions.BotoCoreError, OSError) as error:
            raise Unavailable(f"Bedrock cannot be reached: {error}", "Check AWS_REGION and credentials.") from None
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        tokens = int(headers.get("x-amzn-bedrock-input-token-count", 0))
        return Embedded(np.array(found["embedding"], np.float32), tokens, found.get("truncatedCharLength"))


def _asked(content: Content | Encoded) -> dict[str, Any]:
    """The content as a field of SINGLE_EMBEDDING."""
    match content:
        case Text(value=value, truncation=truncation):
            return {"text": {"truncationMode": str(truncation), "value": value}}
        case Encoded(modality=modality, data=data, format=form, detail=detail):
            found = sniff(data)[0]
            return _media(modality, data, form or _FORMATS.get(found, found), detail)
        case Image(pixels=pixels, detail=detail):
            from PIL import Image as Pillow

            out = io.BytesIO()
            Pillow.fromarray(pixels).save(out, "png")
            return _media(Modality.IMAGE, out.getvalue(), "png", detail)
        case Audio():
            return _media(Modality.AUDIO, encode_wav(content), "wav")
        case Video():
            return _media(Modality.VIDEO, _mp4(content), "mp4")


def _media(modality: Modality, data: bytes, form: str, detail: Detail = Detail.STANDARD) -> dict[str, Any]:
    field: dict[str, Any] = {"format": form, "source": {"bytes": base64.b64encode(data).decode()}}
    if modality is Modality.IMAGE:
        field["detailLevel"] = str(detail)
    if modality is Modality.VIDEO:
        field["embeddingMode"] = "AUDIO_VIDEO_COMBINED"
    return {str(modality): field}


def _mp4(video: Video) -> bytes:
    """Each frame for as long as it is until the next one, and the audio."""
    import av

    out = io.BytesIO()
    height, width = (side - side % 2 for side in video.frames.shape[1:3])  # H.264 halves the colours' resolution
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1_000)
        heard = container.add_stream("aac", rate=video.audio.rate, layout="mono") if video.audio is not None else None
        for pixels, time in zip(video.frames, video.times - video.times[0], strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), format="rgb24")
            frame.pts, frame.time_base = round(float(time) * 1_000), Fraction(1, 1_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if heard is not None and video.audio is not None:
            samples = np.ascontiguousarray(video.audio.samples[None], np.float32)
            audio = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            audio.sample_rate, audio.pts = video.audio.rate, 0
            container.mux(heard.encode(audio))
            container.mux(heard.encode(None))
    return out.getvalue()


def _refusal(error: botocore.exceptions.ClientError) -> KilonovaError:
    code, said = error.response["Error"]["Code"], f"Bedrock: {error.response['Error'].get('Message', error)}"
    if code in _THROTTLED:
        return Busy(said, "Try again with exponential backoff.")
    if code in _REFUSED:
        return AccessDenied(said, "The server's own AWS credentials are meant.")
    if code == "ValidationException":
        return InvalidInput(said)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    return Unavailable(said) if status >= 500 else ModelFailed(said)
