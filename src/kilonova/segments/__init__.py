"""From files to vectors: which files there are, how they are read and cut, and one stream that embeds them."""
