"""Files for messages: uploaded with a form, or put to a signed link."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from dialogkit.testing.engine.document import Json
from dialogkit.testing.engine.links import StoredFile
from dialogkit.testing.engine.refusals import Refusal, not_found, wrong
from dialogkit.testing.engine.registry import Registry, UploadedFile
from dialogkit.testing.hoopai import tables
from dialogkit.testing.hoopai.calls import Call

REGISTRY: Final = Registry()
_handles: Final = REGISTRY.handles

_ALLOWED: Final = frozenset(
    {"jpg", "jpeg", "png", "mp4", "mpeg", "zip", "rar", "pdf", "doc", "docx", "txt", "mp3", "wav"}
)
_WHATSAPP_LIMIT: Final = 100 * 1024 * 1024
_TICKET_SECONDS: Final = 15 * 60


def _check_type(name: str) -> None:
    suffix = PurePosixPath(name).suffix.lstrip(".").lower()
    if suffix not in _ALLOWED:
        raise Refusal(415, f"Failed to upload the files: {suffix or 'a file without a suffix'} is not supported")


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise Refusal(413, f"Failed to upload the files: the limit is {limit} bytes")


def _names(files: list[UploadedFile]) -> Iterator[str]:
    """Yield a name for each file; a name that came before gets a number, for the answer is keyed by name."""
    seen: set[str] = set()
    for file in files:
        name, n = file.name, 1
        while name in seen:
            n += 1
            path = PurePosixPath(file.name)
            name = f"{path.stem}-{n}{path.suffix}"
        seen.add(name)
        yield name


@_handles("upload_files")
def upload_files(call: Call) -> Json:
    """Keep the files, and return links to them. Files that are named by URL are taken over as they are."""
    call.row(tables.conversations(call.state), call.body["conversationId"])
    files = list(call.files)
    group = call.body.get("isGroupSms") == "true"
    if group and len(files) > 1:
        raise wrong("only one file may be uploaded at a time for a group SMS")
    for file in files:
        _check_type(file.name)
        _check_size(len(file.content), call.upload_limit)
    links = call.state.links
    uploaded = {
        name: links.publish(
            call.base_url, StoredFile(name, file.content_type or "application/octet-stream", file.content)
        )
        for name, file in zip(_names(files), files, strict=True)
    }
    uploaded |= {PurePosixPath(url).name or url: url for url in call.body.get("attachmentUrls", [])}
    answer: Json = {"uploadedFiles": uploaded}
    if group:
        answer["twilioMediaSids"] = [call.state.ids.mint("media") for _ in files]
    return answer


@_handles("initiate_upload")
def initiate_upload(call: Call) -> Json:
    """Hand out a link to put one file to, for a quarter of an hour."""
    body = call.body
    call.row(tables.conversations(call.state), body["conversationId"])
    _check_type(body["filename"])
    limit = _WHATSAPP_LIMIT if body["channel"].upper() == "WHATSAPP" else call.upload_limit
    _check_size(body.get("fileSize", 0), limit)
    file = StoredFile(body["filename"], body["contentType"])
    id_ = call.state.ids.uuid("upload")
    path = f"conversations/{body['conversationId']}/{id_}/{file.name}"
    expires = call.state.clock() + _TICKET_SECONDS
    row = {"locationId": call.location_id, "file": file, "filePath": path}
    tables.uploads(call.state).add(row, id_)
    url = call.state.links.sign(call.base_url, file, method="PUT", seconds=_TICKET_SECONDS, limit=limit)
    return {
        "uploadUrl": url,
        "uploadId": id_,
        "filePath": path,
        "expiresAt": int(expires * 1000),
        "maxFileSize": limit,
    }


@_handles("complete_upload")
def complete_upload(call: Call) -> Json:
    """Publish a file that was put to its link; 404 if it was not."""
    body = call.body
    upload = call.row(tables.uploads(call.state), body["uploadId"])
    file: StoredFile = upload["file"]
    if upload["filePath"] != body["filePath"] or file.content is None:
        raise not_found("uploaded file", body["filePath"])
    url = call.state.links.publish(call.base_url, StoredFile(body["filename"], file.content_type, file.content))
    metadata = {"size": len(file.content), "contentType": file.content_type}
    return {"uploadedFiles": {body["filename"]: url}, "metadata": metadata}
