"""Time from starting `kilonova serve` to a ready answer, and the import time of the package.

python benchmarks/startup.py [--runs 7]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from kilonova.storage.local import free_port


def serve_once(model: str) -> float:
    """Seconds until /readyz answers 200."""
    port = free_port()
    begin = time.perf_counter()
    command = [str(Path(sys.executable).with_name("kilonova")), "serve", "--port", str(port), "--model", model]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while time.perf_counter() - begin < 60:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                    return time.perf_counter() - begin
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.01)
        raise SystemExit("the server did not become ready")
    finally:
        server.terminate()
        server.wait()


def import_once() -> float:
    """Seconds of `import kilonova`, the interpreter's own start taken off."""

    def run(code: str) -> float:
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - begin

    return run("import kilonova") - run("pass")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--model", default="kilonova-mini")
    options = parser.parse_args()
    serve = [serve_once(options.model) for _ in range(options.runs)]
    imports = [import_once() for _ in range(options.runs)]
    for name, times in (("serve until ready", serve), ("import kilonova", imports)):
        print(f"{name}: median {statistics.median(times):.2f} s, worst {max(times):.2f} s of {options.runs}")


if __name__ == "__main__":
    main()
