"""docs/reference/configuration.md in English and Chinese, made from the options of the command line."""

from __future__ import annotations

from enum import Enum
from typing import Any

from typer.core import TyperOption

from docs.configuration_zh import HELP
from kilonova.cli import options
from kilonova.cli.main import command

__all__ = ["chinese", "english"]

_EXAMPLE = """```toml
# kilonova.toml
data = "/data/kilonova"             # for all commands that have the option
model = "kilonova-mini"

[serve]
port = 8080
cache-mb = 256
model = ["kilonova-mini", "embeddinggemma-2"]

[search]
collection = "{collection}"
limit = 20

[collections.list]
json = true
```"""


def english() -> str:
    """The page in English."""
    return f"""# Configuration

[中文](../zh/reference/configuration.md)

Generated from the options of the command line by `make docs`. Every option of every command can be set in four places.
The first place where it is set wins:

1. the flag: `kilonova serve --port 8080`;
2. the variable: `KILONOVA_SERVE_PORT=8080`;
3. `kilonova.toml` in the current folder, or the file of `kilonova --config FILE …` or of `KILONOVA_CONFIG`; then
   `kilonova.toml` in the folder of your credentials (`KILONOVA_HOME`, or `~/.config/kilonova`);
4. the default.

`kilonova config show` prints the value of every option and where it comes from; `kilonova config show serve` does so
for one command.

{_EXAMPLE.format(collection="photos")}

- An unknown name or a value of the wrong type is an error; the message gives the file and the name.
- A relative path is relative to the folder of the file; `~` is your home folder. Addresses of stores are not changed.
- An option that may be repeated takes a list. Its variable takes values separated by spaces, so put a value that
  contains spaces in the file.
- An empty variable counts as not set. A switch takes `1` or `0`.
- `kilonova.toml` in the current folder is read only if it belongs to you or to root.

## For all commands

These names may be set at the top of kilonova.toml, above its tables. The command's own variable takes precedence
over the one here.

| option | variable | meaning |
|---|---|---|
{_shared(english=True)}

These are set only by variables:

| variable | meaning |
|---|---|
| `KILONOVA_CONFIG` | the file to read instead of `kilonova.toml` in the current folder |
| `KILONOVA_HOME` | the folder of credentials and of your own `kilonova.toml` |
| `KILONOVA_CREDENTIALS`, `KILONOVA_API_KEYS` | who may call, see [credentials](../credentials.md) |

{_tables(english=True)}"""


def chinese() -> str:
    """The page in Chinese."""
    return f"""# 配置

[English](../../reference/configuration.md)

本页由 `make docs` 根据命令行选项生成。每个命令的每个选项都可以在四个地方设置，排在前面的优先：

1. 命令行参数：`kilonova serve --port 8080`；
2. 环境变量：`KILONOVA_SERVE_PORT=8080`；
3. 当前目录的 `kilonova.toml`（或 `kilonova --config FILE …`、`KILONOVA_CONFIG` 指定的文件），其次是凭证目录
   （`KILONOVA_HOME` 或 `~/.config/kilonova`）里的 `kilonova.toml`；
4. 默认值。

`kilonova config show` 列出每个选项的值及其来源；`kilonova config show serve` 只列出一个命令的。

{_EXAMPLE.format(collection="照片").replace("for all commands that have the option", "适用于所有带此选项的命令")}

- 不存在的名称或类型不对的值会报错，并指出文件和名称。
- 相对路径以配置文件所在目录为准；`~` 表示用户主目录。存储地址保持原样。
- 可重复的选项取列表。对应的环境变量用空格分隔多个值，因此含空格的值请写在文件里。
- 空的环境变量视为未设置。开关取 `1` 或 `0`。
- 当前目录的 `kilonova.toml` 只有属于您或 root 时才会读取。

## 适用于所有命令

以下名称可以写在 kilonova.toml 各个表之前。命令自己的环境变量优先于这里的环境变量。

| 选项 | 环境变量 | 含义 |
|---|---|---|
{_shared(english=False)}

以下只能通过环境变量设置：

| 环境变量 | 含义 |
|---|---|
| `KILONOVA_CONFIG` | 代替当前目录 `kilonova.toml` 的配置文件 |
| `KILONOVA_HOME` | 凭证和用户自己的 `kilonova.toml` 所在目录 |
| `KILONOVA_CREDENTIALS`、`KILONOVA_API_KEYS` | 谁可以调用，见[凭证](../../credentials.md) |

{_tables(english=False)}"""


def _tables(english: bool) -> str:
    heads = "| option | variable | default | meaning |" if english else "| 选项 | 环境变量 | 默认值 | 含义 |"
    lines: list[str] = []
    for path, one in options.commands(command()):
        table = options.configurable(one)
        if table:
            lines += [f"## {' '.join(path)}", "", heads, "|---|---|---|---|"]
            for name, option in table.items():
                help = _english(option) if english else _chinese(path, name)
                own = option.envvar if isinstance(option.envvar, str) else (option.envvar or [""])[0]
                lines.append(f"| `{name}` | `{own}` | {_default(option)} | {help} |")
            lines.append("")
    return "\n".join(lines)


def _shared(english: bool) -> str:
    lines = []
    for name, variable in options.SHARED.items():
        meaning = _SHARED.get(name) or _english(_option(name)) if english else _chinese((), name)
        lines.append(f"| `{name}` | {f'`{variable}`' if variable else ''} | {meaning} |")
    return "\n".join(lines)


_SHARED = {"model": "The model, see `kilonova models`.", "port": "Port of the server."}


def _option(name: str) -> TyperOption:
    """An option by its name, of the first command that has it."""
    return next(table[name] for _, one in options.commands(command()) if name in (table := options.configurable(one)))


def _english(option: TyperOption) -> str:
    return (option.help or "").replace("|", "\\|")


def _chinese(path: tuple[str, ...], name: str) -> str:
    """The Chinese help of an option: that of the command, or else that of all commands.

    Raises:
        KeyError: docs/configuration_zh.py has none.
    """
    own = HELP.get(" ".join((*path, name)))
    return own if own is not None else HELP[name]


def _default(option: TyperOption) -> str:
    value: Any = option.default
    if value is None or value == "":
        return ""
    if isinstance(value, Enum):
        value = value.value
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
