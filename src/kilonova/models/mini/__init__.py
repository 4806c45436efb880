"""kilonova-mini, the built-in model: frozen towers and trained heads on ONNX Runtime.

    content ─ prepare ─ tower ─ head ─ space: 3,072 dimensions whose prefixes are vectors too

``text``, ``image`` and ``audio`` hold the towers, ``page`` reads the words on a document's page, ``space`` says
what stands where in a vector, ``model`` puts them together.
"""

from kilonova.models.mini.model import Mini

__all__ = ["Mini"]
