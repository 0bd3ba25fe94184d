"""The checks of `nanoface doctor`, one concern a file. They import nothing heavy and change nothing."""
