"""`nanoface report`: one text file that tells all of a board."""
