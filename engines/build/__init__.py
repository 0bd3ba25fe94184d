"""`nanoface build`: engines for this machine, of the converted networks."""
