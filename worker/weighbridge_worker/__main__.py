"""The ``weighbridge`` command's way in: imports nothing that a bare install lacks."""

import sys


def main() -> int:
    """Run the command; returns its exit status."""
    try:
        import typer  # noqa: F401, PLC0415
    except ImportError:
        print(  # noqa: T201
            "weighbridge: the command needs more than a producer does; install it with\n"
            "    pip install 'weighbridge[worker,local]'",
            file=sys.stderr,
        )
        return 2
    from weighbridge_worker.cli.app import run  # noqa: PLC0415

    return run()


if __name__ == "__main__":
    sys.exit(main())
