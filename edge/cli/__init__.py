"""The command line: its parser, its commands, and the only prints."""
