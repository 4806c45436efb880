"""From files to what is embedded: which files there are, and of which kind."""
