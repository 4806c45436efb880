"""Embedding everything under an S3 prefix into Parquet files."""
