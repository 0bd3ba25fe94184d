"""What `nanoface doctor` looks at beside the board itself. Nothing heavy is imported here, and nothing is changed."""
