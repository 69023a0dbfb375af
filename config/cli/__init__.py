"""The command line `drumbeat`: each file holds one group of commands, loaded only when it is used."""

from config.cli.app import main

__all__ = ["main"]
