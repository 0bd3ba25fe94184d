"""The command as `python -m edge`; `nanoface` begins in nanoface.py, as do programs of others."""
from edge.host.stop import SIGNALS, leave


def console() -> None:
    """Run the command of sys.argv, and end the process with its exit code."""
    SIGNALS.note()  # a Ctrl-C while the rest is loaded, too
    from edge.cli.main import main

    leave(main())


if __name__ == "__main__":
    console()
