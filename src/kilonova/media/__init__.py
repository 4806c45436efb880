"""Bytes to bounded arrays: what may be decoded, how far, and by whom."""
