"""The command line: its words, its commands, and the only prints."""
