"""Asynchronous invocations: durable, resumable, segment by segment."""
