"""What is asked of the operating system: files, processes, pipes, waiting, the terminal, programs beside us."""
