"""Outputs that take the place of a telephone: programs ask them for datagrams, and get them for a while."""
