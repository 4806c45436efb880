import pytest

from kilonova.errors import InvalidInput
from kilonova.media import decoder
from kilonova.media.content import Audio, Encoded, Image, Modality, Video
from kilonova.media.sniff import format_of_name, modality_of_name, sniff
from tests import samples


def files() -> dict[str, tuple[Modality, bytes]]:
    found = {form: (Modality.IMAGE, samples.image(form)) for form in samples.IMAGES}
    found |= {form: (Modality.AUDIO, samples.audio(form)) for form in samples.AUDIO_FORMATS}
    return found | {form: (Modality.VIDEO, samples.video(form)) for form in samples.VIDEOS}


@pytest.mark.parametrize("form", [*samples.IMAGES, *samples.AUDIO_FORMATS, *samples.VIDEOS])
def test_what_a_file_is(form: str) -> None:
    modality, data = files()[form]
    assert modality in sniff(data)[1]


@pytest.mark.slow
def test_a_lying_name_does_no_harm_within_the_modality() -> None:
    kinds = {Modality.IMAGE: Image, Modality.AUDIO: Audio, Modality.VIDEO: Video}
    every = files()
    for modality, data in every.values():
        for claimed, (other, _) in every.items():
            if other is modality:
                assert isinstance(decoder.decode(Encoded(modality, data, claimed), 32_000, 1.0), kinds[modality])


def test_bytes_of_another_modality_are_named() -> None:
    with pytest.raises(InvalidInput, match=r"no audio.*found: png.*called mp3"):
        decoder.decode(Encoded(Modality.AUDIO, samples.image("png"), "mp3"), 32_000, 1.0)
    with pytest.raises(InvalidInput, match=r"no image.*found: wav"):
        decoder.decode(Encoded(Modality.IMAGE, samples.audio("wav"), "png"), 32_000, 1.0)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"%PDF-1.7", "pdf"),
        (b"PK\x03\x04", "zip"),
        (b"BM...... begins a text", "unknown"),
        (b"\xff\xfeh\x00i\x00", "unknown"),  # UTF-16
        (b"Are free and skip the rest", "unknown"),
        (b"I am wide", "unknown"),
        (b"12345678AVI is a word", "unknown"),
        (b"12345678WEBP is a word", "unknown"),
        (b"", "unknown"),
        (b"hello, this is text", "unknown"),
        ("日落海滩".encode(), "unknown"),
    ],
)
def test_what_is_not_taken(data: bytes, name: str) -> None:
    assert sniff(data) == (name, frozenset())


def test_names() -> None:
    assert format_of_name("a/b.JPG") == "jpeg"
    assert format_of_name("海.opus") == "ogg"
    assert format_of_name("noending") == ""
    assert modality_of_name("s3://bucket/x.MKV") is Modality.VIDEO
    assert modality_of_name("notes.txt") is None
