"""Office files part by part, for what no library writes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

from kilonova.media import office
from kilonova.media.package import OfficePage

__all__ = ["W", "document", "package", "pages", "relations", "workbook"]

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_SPACES = (
    f'{W} xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:v="urn:schemas-microsoft-com:vml" xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" '
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:xdr="http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing"'
)
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def package(parts: Mapping[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of parts; SPACES in them stands for the usual namespaces."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(name, data.replace("SPACES", _SPACES) if isinstance(data, str) else data)
    return buffer.getvalue()


def relations(**targets: str) -> str:
    """A part of relationships: by id ``kind target``."""
    every = "".join(
        f'<Relationship Id="{name}" Type="http://x/{said.split(" ")[0]}" Target="{said.split(" ")[1]}"/>'
        for name, said in targets.items()
    )
    return (
        f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{every}</Relationships>'
    )


def document(body: str, **parts: str) -> bytes:
    """A file of Word with a body; ``footnotes="<w:footnote…"`` and the like are parts that it refers to."""
    related = {f"r{index}": f"{name.rstrip('0123456789')} {name}.xml" for index, name in enumerate(parts)}
    others = {f"word/{name}.xml": f"<w:x SPACES>{xml}</w:x>" for name, xml in parts.items()}
    return package(
        {
            "_rels/.rels": relations(r="officeDocument word/document.xml"),
            "word/document.xml": f"<w:document SPACES><w:body>{body}</w:body></w:document>",
            "word/_rels/document.xml.rels": relations(**related),
            **others,
        }
    )


def workbook(sheets: Mapping[str, str], **parts: str | bytes) -> bytes:
    """A file of Excel: the XML of its sheets by title; ``parts`` are others under ``xl``, ``/`` written ``__``."""
    names = {title: f"s{index}" for index, title in enumerate(sheets)}
    listed = "".join(f'<sheet name="{title}" sheetId="1" r:id="{name}"/>' for title, name in names.items())
    related = {name: f"worksheet worksheets/{name}.xml" for name in names.values()}
    if "sharedStrings" in parts:
        related["shared"] = "sharedStrings sharedStrings.xml"
    if "styles" in parts:
        related["styles"] = "styles styles.xml"
    return package(
        {
            "_rels/.rels": relations(r="officeDocument xl/workbook.xml"),
            "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" SPACES><sheets>{listed}</sheets></workbook>',
            "xl/_rels/workbook.xml.rels": relations(**related),
            **{
                f"xl/worksheets/{names[title]}.xml": f'<worksheet xmlns="{_MAIN}" SPACES>{xml}</worksheet>'
                for title, xml in sheets.items()
            },
            **{f"xl/{name.replace('__', '/')}{'' if '.' in name else '.xml'}": data for name, data in parts.items()},
        }
    )


def pages(data: bytes, name: str) -> list[OfficePage]:
    """What is read of a file."""
    return office.words(io.BytesIO(data), name)
