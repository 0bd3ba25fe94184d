"""Whether what runs a network here gives the stored answers."""
