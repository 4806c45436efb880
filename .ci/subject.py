"""Refuse a commit whose subject is too long for a list of commits: .ci/subject.py FILE-OF-THE-MESSAGE"""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["fault", "main"]

LONGEST = 72


def fault(message: str) -> str:
    """What is wrong with the subject of a commit message; nothing if it is fine."""
    lines = [line for line in message.splitlines() if not line.startswith("#")]  # Git's own remarks
    subject = next((line.strip() for line in lines if line.strip()), "")
    if len(subject) > LONGEST:
        return f"The subject has {len(subject)} characters. Use at most {LONGEST}; the rest belongs in the body."
    if subject.endswith("."):
        return "The subject ends with a full stop. Leave it out."
    return ""


def main() -> int:
    """The hook; the exit status is 1 when Git shall not commit."""
    found = fault(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if found:
        print(found, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
