"""Bytes to values: each module knows one file format, and no module knows where bytes come from.

Nothing here is imported, unpickled or executed on behalf of a file. What a file claims about its own
lengths is checked against its real size before anything is allocated.
"""
