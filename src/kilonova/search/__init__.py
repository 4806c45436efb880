"""Folders of media in, ranked hits out: ingest, queries, fusion, voting."""
