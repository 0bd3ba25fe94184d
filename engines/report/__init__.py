"""`nanoface report`: one text file with all about a board."""
