"""The other end of the HTTP API."""
