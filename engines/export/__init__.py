"""A fetched network as a file for other programs."""
