"""The service of the machine that nanoface runs on: its units, its default configuration and its installer.

The name is that of the room; the library of the same name on the package index is not used by anything here.
"""
