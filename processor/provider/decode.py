"""Decodes the body of a push to JSON: plain, form, SNS envelope or CloudEvents."""

import base64
import binascii
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import msgspec

from processor import form_data
from processor.errors import Unreadable, WrongType
from processor.json_input import BOM, raw_bytes, read_json
from processor.model import Push
from processor.provider.extract_update import as_object
from processor.provider.field_types import Decode
from processor.provider.large_json import read_document
from processor.provider.profile import Profile

JSON = "application/json"
_BATCH = "application/cloudevents-batch+json"


class DecodedPush(msgspec.Struct, frozen=True, gc=False):
    """The document inside a push, or the URL that confirms a subscription to an SNS topic."""

    document: Any
    content: bytes  # to dedupe by: the same when the push is repeated in another envelope
    confirm: str | None = None  # the URL that confirms the subscription


def check_encoding(push: Push) -> None:
    """Raise WrongType if the body is compressed."""
    if push.headers.get("content-encoding", "identity").lower() != "identity":
        raise WrongType("Send the body uncompressed, as it was signed")


def check_content_type(profile: Profile, push: Push) -> None:
    """Raise WrongType unless the content type is one that this provider sends."""
    mime = push.headers.get("content-type", "")
    if mime == JSON or profile.push is None:  # as of most pushes
        return
    mime = mime.partition(";")[0].strip().lower()
    others = _OTHER_TYPES.get(profile.push.decode.name, ())
    if mime == JSON or (mime.startswith("application/") and mime.endswith("+json")):
        return
    if mime in others:
        return
    known = " or ".join((JSON, *others))
    given = f"not {mime}" if mime else "but this has no Content-Type"
    raise WrongType(f"{profile.name} pushes {known}, {given}")


def decode_push(
    decode: Decode, push: Push, *, signed: bool = False, only_field: bool = False
) -> DecodedPush:
    """Decode a push; raise Unreadable if that fails.

    `signed`: the signature covers only the body, so unsigned headers must not be trusted.
    `only_field`: it covers only the field of a form, so nothing else in the body may be read.
    """
    if only_field:
        return _field(decode, push)
    if signed and decode.name == "cloudevents" and "ce-specversion" in push.headers:
        raise Unreadable("a signed CloudEvent must be structured, because headers are not signed")
    return _DECODERS[decode.name](decode, push)


def _json(_decode: Decode, push: Push) -> DecodedPush:
    return DecodedPush(read_document(push.body), push.body)


def _form(decode: Decode, push: Push) -> DecodedPush:
    """A body that begins like JSON is not a form: the content type is unsigned and does not count."""
    if push.body.removeprefix(BOM)[:1] in (b"{", b"[") or not form_data.is_form(push.headers):
        return _json(decode, push)
    return _field(decode, push)


def _field(decode: Decode, push: Push) -> DecodedPush:
    text = form_data.fields(push.headers, push.body).get(decode.field)
    if text is None:
        raise Unreadable(f"there is no field `{decode.field}` in the form")
    said = raw_bytes(text)
    return DecodedPush(read_document(said), said)


def _sns(_decode: Decode, push: Push) -> DecodedPush:
    """The type of a message is read from the body, which is signed; the header is not signed."""
    envelope = as_object(read_json(push.body))
    match envelope.get("Type"), envelope.get("Message"), envelope.get("SubscribeURL"):
        case "Notification", str(message), _:
            said = raw_bytes(message)
            return DecodedPush(read_json(said), raw_bytes(f"{envelope.get('MessageId')}\n") + said)
        case "SubscriptionConfirmation", _, str(url):
            return DecodedPush([], b"", confirm=url)
        case "UnsubscribeConfirmation", _, _:
            return DecodedPush([], b"")
        case _:
            raise Unreadable("the body is no SNS message: Type, Message or SubscribeURL is missing")


def _cloudevents(_decode: Decode, push: Push) -> DecodedPush:
    mime = push.headers.get("content-type", "").partition(";")[0].strip().lower()
    if mime == _BATCH:
        events = read_json(push.body)
        if not isinstance(events, list):
            raise Unreadable("a batch of CloudEvents is a JSON array")
        return DecodedPush(list(map(_event_or_fault, events)), push.body)
    if mime.startswith("application/cloudevents"):
        return DecodedPush(_event(as_object(read_json(push.body))), push.body)
    return DecodedPush(_event(_binary(push)), push.body)


def _binary(push: Push) -> dict[str, Any]:
    """Binary mode: attributes are in the headers, percent-encoded; the body is the data."""
    named = {
        name[3:]: unquote(value)
        for name, value in push.headers.items()
        if name.startswith("ce-") and not name.startswith("ce-data")
    }
    if not {"id", "source", "type", "specversion"} <= named.keys():
        raise Unreadable(
            "the push is no CloudEvent: ce-id, ce-source, ce-type or ce-specversion is missing"
        )
    return {**named, "data": read_json(push.body) if push.body else None}


def _event_or_fault(event: object) -> dict[str, Any] | Unreadable:
    """One event of a batch; an unreadable one does not prevent reading the others."""
    try:
        return _event(as_object(event))
    except Unreadable as problem:
        return problem


def _event(event: dict[str, Any]) -> dict[str, Any]:
    """An event with `data` decoded, and with `key`, its unique `source` and `id`.

    Without them all events would have the same key, and count as duplicates of the first.
    """
    source, name = event.get("source"), event.get("id")
    if not (isinstance(source, str) and source and isinstance(name, str) and name):
        raise Unreadable("a CloudEvent must have `id` and `source`, strings that are not empty")
    if isinstance(packed := event.get("data_base64"), str):
        try:
            data = base64.b64decode(packed, validate=True)
        except (binascii.Error, ValueError):
            raise Unreadable("data_base64 is not base64") from None
        event = {**event, "data": read_json(data)}
    return {**event, "key": f"{source} {name}"}


_OTHER_TYPES = {"form": (form_data.PLAIN, form_data.PARTS), "sns": ("text/plain",)}
_DECODERS: dict[str, Callable[[Decode, Push], DecodedPush]] = {
    "json": _json,
    "form": _form,
    "sns": _sns,
    "cloudevents": _cloudevents,
}
