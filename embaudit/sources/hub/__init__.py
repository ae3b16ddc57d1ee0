"""A repository on the hub, read over the network: its listing, parts of its files, its commits.

    open_hub                what the repository is at a revision (opening, listing)
    HubSource               the bytes of its files and its history (source)
      Beside                what a snapshot opened before has of them
      ThriftyReader         what is kept, what is under way, what to ask for (reading, kept, windows)
      HeldFiles             whole files on this disk, for depth full (held)
      Ranges                one span of one file, held against the listing (ranges)
      read_lineage, ...     commits (history)
    HubApi                  the addresses and the JSON that they answer with (api, documents)
    Exchange                one request and its answer (exchange and below)

It is imported only where a repository on the hub is opened: huggingface_hub's session takes time to import.
"""

from embaudit.sources.hub.opening import open_hub
from embaudit.sources.hub.source import HubSource

__all__ = ["HubSource", "open_hub"]
