"""Executes the notebook that is named, in the folder where this runs, and writes it with its new outputs.

It ends in an error if a cell does. What changes from run to run, times and counts of executions, is left out.
"""

import sys

import nbformat
from nbclient import NotebookClient

_SECONDS = 120


def main() -> None:
    """Read, execute, write to standard output."""
    notebook = nbformat.read(sys.argv[1], as_version=4)
    NotebookClient(notebook, timeout=_SECONDS, record_timing=False).execute()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    sys.stdout.write(nbformat.writes(notebook, version=4).rstrip("\n") + "\n")


if __name__ == "__main__":
    main()
