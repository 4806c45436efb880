"""Kilonova: text, images, audio and video as vectors of one space, behind Amazon Nova's API."""

__version__ = "0.1.0"
