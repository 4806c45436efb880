"""Reading media from where it lies."""
