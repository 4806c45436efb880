"""Options from flags, variables, kilonova.toml and defaults, in this order; `kilonova config show`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kilonova import _home
from kilonova.cli.config import mask
from kilonova.cli.main import command
from kilonova.errors import InvalidInput
from tests.cli.test_cli import kilonova

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and a home beside it."""
    for name in [name for name in os.environ if name.startswith(("KILONOVA_", "_KILONOVA_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(_home, "_DEFAULT_DATA", "_KILONOVA_DATA_OF_TESTS")
    monkeypatch.setenv("_KILONOVA_DATA_OF_TESTS", "")  # so that it is taken away again
    monkeypatch.setenv("KILONOVA_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str, before: tuple[str, ...] = ()) -> dict[str, tuple[Any, str, str]]:
        command()([*before, "config", "show", *arguments, "--json"], standalone_mode=False)
        return {
            f"{one['command']} {one['option']}".strip(): (one["value"], one["source"], one["name"])
            for one in json.loads(capsys.readouterr().out)
        }

    return run


#: Options of every kind: command, option, default, and a value for each source: file, variable, flag.
KINDS: list[tuple[str, str, Any, Any, str, list[str]]] = [
    ("serve", "port", 8000, 8101, "8102", ["--port", "8103"]),
    ("serve", "idle-minutes", 0.0, 1.5, "2.5", ["--idle-minutes", "3.5"]),
    ("serve", "region", "", "eu-1", "eu-2", ["--region", "eu-3"]),
    ("serve", "model", None, ["fake"], "fake kilonova-mini", ["--model", "kilonova-mini"]),
    ("search", "exact", False, True, "1", ["--exact"]),
    ("search", "in", "", "文档", "图像", ["--in", "video"]),
    ("embed", "purpose", "GENERIC_INDEX", "CLUSTERING", "CLASSIFICATION", ["--purpose", "TEXT_RETRIEVAL"]),
    ("index", "collection", "files", "照片", "影片", ["--collection", "音乐"]),
    ("jobs list", "limit", 20, 1, "2", ["-k", "3"]),
    ("collections drop", "yes", False, True, "true", ["--yes"]),
]


@pytest.mark.parametrize(("name", "option", "default", "of_file", "variable", "flag"), KINDS)
def test_each_source_counts_more_than_the_next(
    folder: Path, monkeypatch: pytest.MonkeyPatch, show: Any, name: str, option: str, default: Any, of_file: Any,
    variable: str, flag: list[str],
) -> None:  # fmt: skip
    words, entry = name.split(), f"{name} {option}"
    assert show(*words)[entry] == (default, "default", "")

    users = folder.parent / "home" / "kilonova.toml"
    users.write_text(f"[{'.'.join(words)}]\n{option} = {json.dumps(of_file, ensure_ascii=False)}\n")
    assert show(*words)[entry] == (of_file, "file", str(users))

    own = folder / "kilonova.toml"
    own.write_text(users.read_text())
    users.write_text(f"[{'.'.join(words)}]\n{option} = {json.dumps(default or of_file)}\n")
    assert show(*words)[entry] == (of_file, "file", str(own))

    name_of_variable = "_".join(("KILONOVA", *words, option)).upper().replace("-", "_")
    monkeypatch.setenv(name_of_variable, variable)
    value, source, where = show(*words)[entry]
    assert (source, where) == ("variable", name_of_variable)
    assert value not in (default, of_file) or value is True

    value, source, where = show(*words, *flag)[entry]
    assert (source, where) in (("flag", flag[0]), ("flag", "--limit"))
    assert str(value) not in (str(default), str(of_file), variable) or value is True


def test_shared_options_are_set_once(folder: Path, monkeypatch: pytest.MonkeyPatch, show: Any) -> None:
    (folder / "kilonova.toml").write_text(
        'data = "数据"\nstore = "edge:/a"\nport = 9001\nmodel = "fake"\n'
        '[search]\nstore = "edge:/b"\n[serve]\nmodel = ["x"]\n'
    )
    found = show()
    source = str(folder / "kilonova.toml")
    assert {found[f"{name} data"] for name in ("serve", "index", "copy", "env")} == {
        (str(folder / "数据"), "file", source)
    }
    assert [found[f"{name} store"][0] for name in ("classify", "search")] == ["edge:/a", "edge:/b"]
    assert {found[f"{name} port"][0] for name in ("serve", "up", "env", "doctor")} == {9001}
    assert found["embed model"] == ("fake", "file", source)
    assert [found[f"{name} model"][0] for name in ("up", "serve")] == [["fake"], ["x"]]
    assert _home.models() == folder / "数据" / "models"  # commands without --data have it, too
    monkeypatch.setenv("KILONOVA_STORE", "edge:/c")
    monkeypatch.setenv("KILONOVA_COPY_STORE", "edge:/d")
    found = show()
    assert found["search store"] == ("edge:/c", "variable", "KILONOVA_STORE")
    assert found["copy store"] == ("edge:/d", "variable", "KILONOVA_COPY_STORE")


@pytest.mark.parametrize("page", ["docs/reference/configuration.md", "docs/zh/reference/configuration.md"])
def test_the_example_of_the_page_works(folder: Path, show: Any, page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    (folder / "kilonova.toml").write_text(text.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    found = show()
    assert found["serve port"][0] == 8080
    assert found["search collection"][0] in ("photos", "照片")
    assert found["collections list json"][0] is True


def test_a_file_may_be_named(folder: Path, monkeypatch: pytest.MonkeyPatch, show: Any) -> None:
    (folder / "kilonova.toml").write_text("[serve]\nqueue = 1\nport = 1\n")
    (folder.parent / "home" / "kilonova.toml").write_text("[serve]\nqueue = 2\ncache-mb = 2\n")
    other = folder.parent / "配置 甲.toml"
    other.write_text("\ufeff[serve]\nqueue = 3\n", encoding="utf-8")
    found = show("serve", before=("--config", str(other)))
    assert found["serve queue"] == (3, "file", str(other))
    assert found["serve cache-mb"][0] == 2  # the user's own file counts after it
    assert found["serve port"] == (8000, "default", "")
    monkeypatch.setenv("KILONOVA_CONFIG", str(other))
    assert show("serve")["serve queue"][0] == 3


def test_paths_count_from_the_folder_of_the_file(folder: Path, show: Any) -> None:
    users = folder.parent / "home" / "kilonova.toml"
    users.write_text('[serve]\ntls-cert = "证书/甲.pem"\ntls-key = "~/key.pem"\ndata = "/data"\n')
    found = show("serve")
    assert found["serve tls-cert"][0] == str(users.parent / "证书" / "甲.pem")
    assert found["serve tls-key"][0] == str(Path.home() / "key.pem")
    assert found["serve data"][0] == "/data"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[serve]\nprot = 1\n", "there is no option serve.prot", "Did you mean port?"),
        ("[serve]\nmax_mb = 100\n", "there is no option serve.max_mb", "Did you mean max-mb?"),
        ("[sreve]\nport = 1\n", "there is no option sreve", "Did you mean serve?"),
        ("[jobs.lst]\nlimit = 1\n", "there is no option jobs.lst", "Did you mean list?"),
        ("stroe = 'edge:/a'\n", "there is no option stroe", "Did you mean store?"),
        ("[embed]\n'端口' = 1\n", "there is no option embed.端口", "Possible here: detail, dimension"),
        ("[serve]\nport = '8000'\n", "serve.port must be a whole number, not a string", ""),
        ("[serve]\nport = true\n", "serve.port must be a whole number, not true or false", ""),
        ("[serve]\nport = 70000\n", "serve.port must be at most 65535, not 70000", ""),
        ("[serve]\nbatch-seconds = nan\n", "serve.batch-seconds must be at least 0.1, not nan", ""),
        ("[serve]\ndatabase = 5\n", "serve.database must be a string, not a whole number", ""),
        ("[serve]\nmodel = 5\n", "serve.model must be a string, not a whole number", ""),
        ("[serve]\nmodel = ['fake', 1]\n", "serve.model must be a string, not a whole number", ""),
        ("[search]\nexact = 1\n", "search.exact must be true or false, not a whole number", ""),
        ("[embed]\npurpose = 'SEARCH'\n", "embed.purpose cannot be 'SEARCH'", "GENERIC_RETRIEVAL"),
        ("[embed]\ndimension = 2026-11-26\n", "embed.dimension must be a whole number, not a date or time", ""),
        ("serve = 1\n", "serve must be a table, not a whole number", "[serve]"),
        ("data = []\n", "data must be a string, not a list", ""),
        ("[serve\n", "is not TOML", "line 1"),
    ],
)
def test_what_no_option_can_take_is_refused(folder: Path, show: Any, text: str, message: str, hint: str) -> None:
    (folder / "kilonova.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput) as caught:
        show()
    assert str(folder / "kilonova.toml") in str(caught.value)
    assert message in str(caught.value)
    assert hint in str(caught.value)


def test_files_that_cannot_be_read(folder: Path, show: Any) -> None:
    with pytest.raises(InvalidInput, match=r"nowhere\.toml cannot be read: No such file"):
        show(before=("--config", "nowhere.toml"))
    (folder / "kilonova.toml").write_bytes("[index]\ncollection = '照片'\n".encode("gbk"))
    with pytest.raises(InvalidInput, match="is not UTF-8"):
        show()


def test_a_file_of_another_user_is_not_obeyed(folder: Path, monkeypatch: pytest.MonkeyPatch, show: Any) -> None:
    (folder / "kilonova.toml").write_text("[serve]\nport = 1\n")
    if os.getuid() == 0:  # root's files are obeyed
        os.chown(folder / "kilonova.toml", 65534, 65534)
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    with pytest.raises(InvalidInput, match="belongs to another user"):
        show()
    assert show("serve", before=("--config", "kilonova.toml"))["serve port"][0] == 1


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql://me:s3:cret@db.example/kilonova", "postgresql://me:***@db.example/kilonova"),
        ("postgresql://me:p@ss@db/k?sslpassword=x&a=b", "postgresql://me:***@db/k?sslpassword=***&a=b"),
        ("qdrant+https://:密码@host:6333", "qdrant+https://:***@host:6333"),
        ("opensearch+https://host:9200?api_key=abc", "opensearch+https://host:9200?api_key=***"),
        ("postgresql://me@db/kilonova", "postgresql://me@db/kilonova"),
        ("edge:/data/@照片", "edge:/data/@照片"),
        ("chroma+http://host:8000", "chroma+http://host:8000"),
    ],
)
def test_secrets_are_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_show_masks_what_variables_hold(folder: Path, monkeypatch: pytest.MonkeyPatch, show: Any) -> None:
    monkeypatch.setenv("KILONOVA_API_KEYS", "secret-key")
    monkeypatch.setenv("KILONOVA_SERVE_DATABASE", "postgresql://a:secret@b/c")
    found = show()
    assert found["api-keys"] == ("***", "variable", "KILONOVA_API_KEYS")
    assert found["serve database"][0] == "postgresql://a:***@b/c"
    assert "secret" not in str(found)


def test_as_a_user_runs_it(folder: Path) -> None:
    home = folder.parent / "home"
    (home / "kilonova.toml").write_text('model = "fake"\n[embed]\ndimension = 256\njson = true\n')
    done = kilonova("embed", "海边的日落", home=home)
    assert len(json.loads(done.stdout)["embedding"]) == 256
    done = kilonova("embed", "海边的日落", home=home, KILONOVA_EMBED_DIMENSION="384")
    assert len(json.loads(done.stdout)["embedding"]) == 384
    done = kilonova("config", "show", "embed", home=home)
    assert f"file {home / 'kilonova.toml'}" in done.stdout
    assert "env var: KILONOVA_EMBED_DIMENSION" in kilonova("embed", "--help", home=home).stdout
    (home / "kilonova.toml").write_text("[embed]\ndimensions = 256\n")
    done = kilonova("embed", "海边的日落", home=home)
    assert done.returncode == 1
    assert done.stderr == (
        f"kilonova: {home / 'kilonova.toml'}: there is no option embed.dimensions. Did you mean dimension?\n"
    )
    assert kilonova("embed", "--help", home=home).returncode == 0
    assert "Examples" in kilonova("config", "--help", home=home).stdout
    assert "There is no command emebd" in kilonova("config", "show", "emebd").stderr


def test_kubernetes_variables_do_no_harm(folder: Path) -> None:
    done = kilonova("config", "show", "serve", "--json", KILONOVA_PORT="tcp://10.0.0.1:8000", KILONOVA_VERSION="1")
    assert next(one for one in json.loads(done.stdout) if one["option"] == "port")["value"] == 8000
