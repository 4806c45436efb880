"""What ships with the built-in model: small enough, and accounted for."""

from pathlib import Path

import onnxruntime
import pytest

from kilonova.models.mini.session import weights_folder

CARD = Path(__file__).parents[2] / "weights/kilonova-mini/MODEL_CARD.md"


def files() -> list[Path]:
    return sorted(path for path in weights_folder().iterdir() if path.suffix in (".onnx", ".model", ".npz"))


def test_sizes() -> None:
    sizes = [path.stat().st_size for path in files()]
    assert max(sizes) < 95_000_000
    assert sum(sizes) <= 150_000_000


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_every_file_is_in_the_card(path: Path) -> None:
    [row] = [line for line in CARD.read_text().splitlines() if line.startswith("|") and f"`{path.name}`" in line]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert len(cells) == 5  # file, what, origin, licence, training data
    assert all(cells)


@pytest.mark.parametrize("path", [path for path in files() if path.suffix == ".onnx"], ids=lambda path: path.name)
def test_every_graph_opens_and_holds_no_code(path: Path) -> None:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert session.get_outputs()
