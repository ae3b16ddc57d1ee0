"""The answers of the hub's API about one repository: info, tree, paths, references, commits.

Each is a function of what is asked. The shapes are those that huggingface_hub parses:
https://github.com/huggingface/huggingface_hub/blob/v1.0.1/src/huggingface_hub/hf_api.py
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

import attrs

from embaudit.testing.loopback_hub.access import closed, no_such_entry
from embaudit.testing.loopback_hub.contents import StoredFile
from embaudit.testing.loopback_hub.messages import Headers, Request, Response, document, is_true, refusal
from embaudit.testing.loopback_hub.repositories import Commit, Repository, sha1_of
from embaudit.testing.loopback_hub.site import Site

_TREE_PAGE = 1000
_EXPANDED_TREE_PAGE = 50
_MOST_COMMITS = 1000
_ALWAYS = ("_id", "id")
_EXPANDABLE = {
    "baseModels",
    "cardData",
    "childrenModelCount",
    "config",
    "downloadsAllTime",
    "evalResults",
    "gguf",
    "inference",
    "inferenceProviderMapping",
    "library_name",
    "mask_token",
    "model-index",
    "pipeline_tag",
    "resourceGroup",
    "safetensors",
    "transformersInfo",
    "trendingScore",
    "widgetData",
}
"""What the real hub tells on demand and this one knows nothing about. Anything else is refused with 400."""
_BRANCH, _TAG, _CONVERT, _PULL = "refs/heads/", "refs/tags/", "refs/convert/", "refs/pr/"

Json = dict[str, Any]


@attrs.frozen(kw_only=True)
class Asked:
    """What is asked of one repository.

    Attributes:
        site: Everything else that the hub holds.
        repository: The repository.
        request: The request.
        rest: The segments of the path, unquoted, that follow the revision, or the name of the answer if there
            is none.
    """

    site: Site
    repository: Repository
    request: Request
    rest: tuple[str, ...]


def info(asked: Asked, commit: Commit) -> Response:
    """`GET /api/models/{id}` and `/api/models/{id}/revision/{revision}`."""
    told = _info(asked.repository, commit, blobs=asked.request.flag("blobs"))
    expanded = asked.request.values("expand")
    unknown = sorted(set(expanded) - set(told) - _EXPANDABLE)
    if unknown:
        return refusal(400, f"Invalid option: {unknown[0]}")
    if expanded:
        return document({name: told[name] for name in (*_ALWAYS, *expanded) if name in told})
    if asked.request.flag("securityStatus"):
        told["securityRepoStatus"] = _security(asked.repository, commit)
    return document(told)


def _security(repository: Repository, commit: Commit) -> Json:
    flagged = sorted(repository.flagged.items())
    issues = [{"path": path, "level": level} for path, level in flagged if path in commit.files]
    return {"scansDone": repository.scans_done, "filesWithIssues": issues}


def _info(repository: Repository, commit: Commit, *, blobs: bool) -> Json:
    head = repository.find("main") or commit
    return {
        "_id": repository.key,
        "id": repository.repo_id,
        "modelId": repository.repo_id,
        "author": repository.repo_id.partition("/")[0],
        "sha": commit.id,
        "lastModified": head.date,
        "createdAt": repository.created,
        "private": repository.private,
        "gated": repository.gated or False,
        "disabled": repository.disabled,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "spaces": [],
        "usedStorage": sum(file.size for file in commit.files.values()),
        "siblings": [
            {"rfilename": path} | (_sibling(file) if blobs else {}) for path, file in commit.files.items()
        ],
    }


def _sibling(file: StoredFile) -> Json:
    told: Json = {"size": file.size, "blobId": file.oid}
    if file.sha256 is not None:
        told["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
    return told


def tree(asked: Asked, commit: Commit) -> Response:
    """`GET /api/models/{id}/tree/{revision}` and `/tree/{revision}/{folder}`."""
    request, folder = asked.request, "/".join(asked.rest).strip("/")
    expand = request.flag("expand")
    entries = _below(asked.repository, commit, folder, expand=expand)
    if folder and not entries:
        return no_such_entry((("X-Repo-Commit", commit.id),))
    if not request.flag("recursive"):
        depth = folder.count("/") + 1 if folder else 0
        entries = [entry for entry in entries if entry["path"].count("/") == depth]
    start = _number(request, "cursor", 0)
    stop = start + (_EXPANDED_TREE_PAGE if expand else _TREE_PAGE)
    links = _next_link(asked, {"cursor": stop}) if stop < len(entries) else ()
    return document(entries[start:stop], links)


def _below(repository: Repository, commit: Commit, folder: str, *, expand: bool) -> list[Json]:
    """Every file and folder below a folder, by path."""
    prefix = f"{folder}/" if folder else ""
    files = {path: file for path, file in commit.files.items() if path.startswith(prefix)}
    folders = {parent for path in files for parent in _parents(path) if parent.startswith(prefix)}
    entries = [_file_entry(repository, commit, path, expand=expand) for path in files]
    entries += [_folder_entry(repository, commit, path, expand=expand) for path in folders - {folder}]
    return sorted(entries, key=lambda entry: str(entry["path"]))


def _parents(path: str) -> Iterable[str]:
    parts = path.split("/")
    return ("/".join(parts[:n]) for n in range(1, len(parts)))


def _file_entry(repository: Repository, commit: Commit, path: str, *, expand: bool) -> Json:
    file = commit.files[path]
    told: Json = {"type": "file", "oid": file.oid, "size": file.size, "path": path}
    if file.sha256 is not None:
        told["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
    if expand:
        told["lastCommit"] = _brief(repository, commit.touched[path])
        told["securityFileStatus"] = _scans(repository, path)
    return told


def _folder_entry(repository: Repository, commit: Commit, path: str, *, expand: bool) -> Json:
    inside = [name for name in commit.files if name.startswith(f"{path}/")]
    oid = sha1_of("tree", path, *(commit.files[name].oid for name in inside))
    told: Json = {"type": "directory", "oid": oid, "size": 0, "path": path}
    if expand:
        order = list(repository.commits)
        last = max((commit.touched[name] for name in inside), key=order.index)
        told["lastCommit"] = _brief(repository, last)
    return told


def _brief(repository: Repository, commit: str) -> Json:
    found = repository.commits[commit]
    return {"id": found.id, "title": found.title, "date": found.date}


def _scans(repository: Repository, path: str) -> Json:
    level = repository.flagged.get(path)
    status = level or ("safe" if repository.scans_done else "queued")
    scan = {"status": status, "message": "", "reportLink": "", "reportLabel": ""}
    return {
        "status": status,
        "jFrogScan": scan,
        "protectAiScan": scan,
        "avScan": scan | {"virusFound": False, "virusNames": None},
        "pickleImportScan": scan | {"pickleImports": [], "version": "0.0.0"},
        "virusTotalScan": scan,
    }


def paths_info(asked: Asked, commit: Commit) -> Response:
    """`POST /api/models/{id}/paths-info/{revision}`: what isn't there is left out."""
    try:
        fields = asked.request.fields()
    except ValueError:
        return refusal(400, "Invalid body")
    expand = is_true(fields.get("expand", []))
    wanted = {path.strip("/") for path in fields.get("paths", [])}
    known = _below(asked.repository, commit, "", expand=expand)
    return document([entry for entry in known if entry["path"] in wanted])


def refs(asked: Asked) -> Response:
    """`GET /api/models/{id}/refs`: the three lists are always there, the fourth is asked for."""
    held = asked.repository.refs
    told = {
        "branches": _references(held, _BRANCH),
        "converts": _references(held, _CONVERT),
        "tags": _references(held, _TAG),
    }
    if asked.request.flag("include_prs"):
        told["pullRequests"] = _references(held, _PULL)
    return document(told)


def _references(held: Mapping[str, str], prefix: str) -> list[Json]:
    return [
        {"name": name.removeprefix(prefix), "ref": name, "targetCommit": held[name]}
        for name in sorted(held)
        if name.startswith(prefix)
    ]


def commits(asked: Asked, commit: Commit) -> Response:
    """`GET /api/models/{id}/commits/{revision}`, newest first, in pages."""
    log = list(asked.repository.log(commit.id))
    limit = min(_number(asked.request, "limit", asked.site.settings.commits_page), _MOST_COMMITS)
    page = _number(asked.request, "p", 0)
    stop = (page + 1) * limit
    links = _next_link(asked, {"p": page + 1, "limit": limit}) if stop < len(log) else ()
    formatted = "formatted" in asked.request.values("expand")
    items = [_commit_item(each, formatted=formatted) for each in log[page * limit : stop]]
    return document(items, (("X-Total-Count", str(len(log))), *links))


def _commit_item(commit: Commit, *, formatted: bool) -> Json:
    told: Json = {
        "id": commit.id,
        "title": commit.title,
        "message": "",
        "authors": [{"user": "loopback", "avatar": ""}],
        "date": commit.date,
    }
    return told | ({"formatted": {"title": commit.title, "message": ""}} if formatted else {})


def auth_check(asked: Asked) -> Response:
    """`GET /api/models/{id}/auth-check`: 200, or the refusal of its files."""
    return closed(asked.site, asked.request, asked.repository) or document({})


def _number(request: Request, name: str, otherwise: int) -> int:
    values = [value for value in request.values(name) if value.isdecimal()]
    return int(values[0]) if values else otherwise


def _next_link(asked: Asked, changed: Mapping[str, int]) -> Headers:
    """The address of the next page: absolute, on the hub's own origin, with what was asked for kept."""
    kept = [pair for pair in asked.request.pairs() if pair[0] not in changed]
    query = urlencode([*kept, *((name, str(value)) for name, value in changed.items())])
    return (("Link", f'<{asked.site.hub_url}{asked.request.path}?{query}>; rel="next"'),)


OF_REPOSITORY: Mapping[str, Callable[[Asked], Response]] = {"refs": refs, "auth-check": auth_check}
"""What follows the id in the path, to the answer."""
OF_COMMIT: Mapping[str, Callable[[Asked, Commit], Response]] = {
    "revision": info,
    "tree": tree,
    "paths-info": paths_info,
    "commits": commits,
}
"""What follows the id in the path, with a revision behind it, to the answer."""
CLOSED = {"tree", "paths-info", "commits"}
"""What a gated repository refuses as it refuses its files; a disabled one refuses all but its info."""
