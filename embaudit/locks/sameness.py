"""Whether two measures of one file agree, by whatever digest both know."""

from embaudit.model.lock import LockedFile


def is_same(old: LockedFile, new: LockedFile) -> bool | None:
    """Whether two files have the same content; None if nothing that both know tells."""
    if old.size is not None and new.size is not None and old.size != new.size:
        return False
    for before, now in ((old.sha256, new.sha256), (old.git_sha1, new.git_sha1)):
        if before is not None and now is not None:
            return before == now
    return None
