import io
from typing import Any

import av
import numpy as np
import pytest

from kilonova.errors import InvalidInput
from kilonova.media import audio
from kilonova.media.content import Audio
from tests import samples

RATE = 32_000


def spectrum_peak(found: Audio) -> float:
    """The strongest frequency, in Hz."""
    power = np.abs(np.fft.rfft(found.samples * np.hanning(len(found.samples))))
    return float(power.argmax() * found.rate / len(found.samples))


@pytest.mark.parametrize("form", samples.AUDIO_FORMATS)
def test_every_format(form: str) -> None:
    found = audio.decode(samples.audio(form, 2.0), RATE)
    assert found.rate == RATE
    assert found.samples.dtype == np.float32
    assert abs(found.seconds - 2.0) < 0.1
    assert abs(spectrum_peak(found) - 440) < 2
    assert 0.2 < np.sqrt((found.samples**2).mean()) < 0.3


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_sample_rates(rate: int) -> None:
    found = audio.decode(samples.audio("wav", 1.0, rate), RATE)
    assert abs(found.seconds - 1.0) < 0.001
    assert abs(spectrum_peak(found) - 440) < 2


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
def test_channels_are_averaged(layout: str) -> None:
    found = audio.decode(samples.audio("wav", 1.0, 48_000, layout), RATE)
    assert abs(found.seconds - 1.0) < 0.001
    assert any(abs(spectrum_peak(found) - 440 * 1.5**channel) < 2 for channel in range(6))
    assert np.abs(found.samples).max() < 0.4


@pytest.mark.parametrize(
    "codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_mulaw"]
)
def test_sample_formats(codec: str) -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="wav") as out:
        stream: Any = out.add_stream(codec, rate=16_000, layout="mono")
        wave = (np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000) * 12_000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = 16_000
        for piece in av.AudioResampler(format=stream.format, layout="mono", rate=16_000).resample(frame):
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    found = audio.decode(buffer.getvalue(), 16_000)
    assert abs(spectrum_peak(found) - 440) < 2
    assert 0.2 < np.sqrt((found.samples**2).mean()) < 0.3


def with_cover(data: bytes) -> bytes:
    """An mp3 with an ID3v2.3 picture frame before its sound."""
    cover = samples.image("png")
    body = b"\x00image/png\x00\x03\x00" + cover
    frame = b"APIC" + len(body).to_bytes(4, "big") + b"\x00\x00" + body
    size = len(frame)
    syncsafe = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + syncsafe + frame + data


def test_cover_art_is_passed_over() -> None:
    plain = samples.audio("mp3")
    found = audio.decode(with_cover(plain), RATE)
    assert abs(spectrum_peak(found) - 440) < 2
    assert abs(found.seconds - 1.0) < 0.1


def test_at_most_30_seconds() -> None:
    assert abs(audio.decode(samples.audio("wav", 30.0, 8_000), RATE).seconds - 30) < 0.001
    with pytest.raises(InvalidInput, match=r"31\.0 s.*30 s"):
        audio.decode(samples.audio("wav", 31.0, 8_000), RATE)


def test_a_duration_that_lies_is_found_out_while_decoding() -> None:
    data = bytearray(samples.audio("flac", 40.0, 8_000))
    # STREAMINFO's 36 bits of total samples, set to one second
    data[21] = data[21] & 0xF0
    data[22:26] = (8_000).to_bytes(4, "big")
    with pytest.raises(InvalidInput, match="30 s"):
        audio.decode(bytes(data), RATE)


def test_what_holds_no_sound() -> None:
    for data in (b"\x00" * 1000, samples.image("png"), b"RIFF\x24\x00\x00\x00WAVEfmt "):
        with pytest.raises(InvalidInput):
            audio.decode(data, RATE)


def test_one_sample_is_enough() -> None:
    assert len(audio.decode(samples.audio("wav", 1 / 32_000, 32_000), RATE).samples) == 1


def test_a_file_cut_short_is_used_as_far_as_it_goes() -> None:
    data = samples.audio("mp3", 4.0)
    assert 1.5 < audio.decode(data[: len(data) // 2], RATE).seconds < 2.5
