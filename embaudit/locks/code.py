"""Code of other repositories that a repository asks its loaders to run.

Settings may name a class as `org/name--file.Class`; transformers 4.28 and later, and sentence-transformers
3.1 and later, take the code from the newest commit of that repository unless the caller passes
`code_revision`:
https://github.com/huggingface/transformers/blob/v4.51.3/src/transformers/dynamic_module_utils.py, there
`get_class_from_dynamic_module`.
"""

from collections.abc import Callable

from embaudit.loaders.code_references import code_references
from embaudit.model.declaration import Declaration
from embaudit.model.lock import LockedCode


def remote_code(declaration: Declaration, commit_of: Callable[[str], str | None]) -> tuple[LockedCode, ...]:
    """Every reference to code elsewhere, in order of file and field.

    Args:
        declaration: The settings.
        commit_of: The newest commit of a repository, by its id; asked once for each.
    """
    references = sorted(
        (f"{each.path}: {each.place}", each.reference, each.repo_id)
        for each in code_references(declaration)
        if each.repo_id is not None
    )
    commits = {repo_id: commit_of(repo_id) for repo_id in dict.fromkeys(repo for _, _, repo in references)}
    return tuple(
        LockedCode(where=where, reference=reference, repo_id=repo_id, commit=commits[repo_id])
        for where, reference, repo_id in references
    )
