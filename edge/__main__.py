"""The command `nanoface` as a process of its own; a program of others takes edge.cli.main.main()."""
from edge.host.stop import SIGNALS, leave


def console() -> None:
    """Run the command of sys.argv, and end the process with its exit code."""
    SIGNALS.note()  # a Ctrl-C while the rest is loaded, too
    from edge.cli.main import main

    leave(main())


if __name__ == "__main__":
    console()
