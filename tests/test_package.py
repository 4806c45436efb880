"""The package as a whole: what importing costs, what it exports, how large its files are."""

import importlib
import pkgutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import kilonova

ROOT = Path(__file__).parents[1]
LIBRARIES = ("onnxruntime", "sentencepiece", "torch", "transformers", "numpy", "av", "PIL", "boto3")


@pytest.mark.timing
def test_importing_is_cheap() -> None:
    def run(code: str) -> float:
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - begin

    assert min(run("import kilonova") for _ in range(3)) - min(run("pass") for _ in range(3)) < 0.15


@pytest.mark.parametrize("module", ["kilonova", "kilonova.models.registry", "kilonova.cli.main"])
def test_importing_loads_no_model_library(module: str) -> None:
    code = f"import sys, {module}; print(*(name for name in {LIBRARIES!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_what_is_exported_exists_and_is_documented() -> None:
    for info in pkgutil.walk_packages(kilonova.__path__, "kilonova."):
        if info.name.startswith("kilonova._process.child"):
            continue
        module = importlib.import_module(info.name)
        assert module.__doc__, info.name
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if callable(value) and getattr(value, "__module__", "").startswith("kilonova"):
                assert value.__doc__, f"{info.name}.{name}"


def test_no_file_is_over_500_lines() -> None:
    files = [
        *ROOT.glob("*.*"),
        *(
            path
            for folder in ("src", "tests", "training", "benchmarks", "examples", "docs")
            for path in (ROOT / folder).rglob("*.*")
        ),
    ]
    for path in files:
        if path.suffix in (".py", ".md", ".toml", ".mjs") and "node_modules" not in path.parts:
            assert len(path.read_text().splitlines()) <= 500, path


def test_the_contract_is_under_100_lines() -> None:
    assert len((ROOT / "src/kilonova/models/base.py").read_text().splitlines()) < 100
