"""One file a command, as edge/cli/table.py lists them."""
