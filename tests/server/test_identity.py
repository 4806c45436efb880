import stat
from pathlib import Path

import pytest

from kilonova.credentials import configured as identity
from kilonova.errors import InvalidInput, KilonovaError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("KILONOVA_CREDENTIALS", "KILONOVA_API_KEYS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KILONOVA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.9.10"])
def test_on_loopback_development_credentials_are_made_once(home: Path, host: str) -> None:
    [first] = identity.load(host)
    [second] = identity.load(host)
    assert first == second
    assert first.access_key_id
    assert first.secret_access_key
    assert first.api_key
    assert stat.S_IMODE((home / "dev-credentials.toml").stat().st_mode) == 0o600
    assert [path.name for path in home.iterdir()] == ["dev-credentials.toml"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com"])
def test_elsewhere_it_is_refused_with_the_reason(home: Path, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KilonovaError, match=f"Refusing to listen on {host}"):
        identity.load(host)
    assert not home.exists()
    monkeypatch.setenv("KILONOVA_API_KEYS", "some-key")
    assert [one.api_key for one in identity.load(host)] == ["some-key"]


def test_environment_and_file_add_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KILONOVA_CREDENTIALS", "AKIDA:secret:with:colons, AKIDB:b")
    monkeypatch.setenv("KILONOVA_API_KEYS", "key-one,key-two")
    home.mkdir()
    (home / "credentials.toml").write_text(
        '[[credentials]]\nname = "小组"\naccess_key_id = "AKIDC"\nsecret_access_key = "c"\nmax_in_flight = 8\n'
        '[[credentials]]\napi_key = "key-three"\n'
    )
    found = identity.load("0.0.0.0")
    assert [one.name for one in found] == ["env-1", "env-2", "env-key-1", "env-key-2", "小组", "credential-2"]
    assert found[0].secret_access_key == "secret:with:colons"
    assert found[4].max_in_flight == 8
    assert not (home / "dev-credentials.toml").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "cannot be read"),
        ("", "has no"),
        ("credentials = 5", "has no"),
        ('[[credentials]]\nname = "x"', "neither an access key nor an api_key"),
        ('[[credentials]]\naccess_key_id = "x"', "together"),
        ('[[credentials]]\napi_key = "x"\npassword = "topsecret"', "password is unknown"),
        ('[[credentials]]\napi_key = ""', "api_key is unknown or has a wrong value"),
        ("[[credentials]]\napi_key = 5", "api_key is unknown or has a wrong value"),
        ('[[credentials]]\napi_key = "x"\nmax_in_flight = true', "max_in_flight"),
    ],
)
def test_a_broken_file(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "credentials.toml"
    file.write_text(text)
    with pytest.raises(InvalidInput, match=said) as caught:
        identity.load("127.0.0.1", file)
    assert "topsecret" not in str(caught.value)


def test_a_missing_file_and_a_broken_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        identity.load("127.0.0.1", tmp_path / "none.toml")
    monkeypatch.setenv("KILONOVA_CREDENTIALS", "AKIDA:secret,justasecret")
    with pytest.raises(InvalidInput, match="Entry 2") as caught:
        identity.load("127.0.0.1")
    assert "justasecret" not in str(caught.value)
