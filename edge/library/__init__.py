"""The tracker for programs of others; `nanoface.py` shows it to them. As the command line, it stands above all other rooms."""
