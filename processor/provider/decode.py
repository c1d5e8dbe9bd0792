"""A push's body as JSON, whatever it comes wrapped in."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from processor import form_data
from processor.errors import Unreadable, WrongType
from processor.json_input import BOM, raw_bytes, read_json
from processor.model import Push
from processor.provider.extract_update import as_object
from processor.provider.field_types import Decode
from processor.provider.large_json import read_document

_BATCH = "application/cloudevents-batch+json"


class DecodedPush(NamedTuple):
    """What was inside: a document, or an SNS topic's question whether we want its messages."""

    document: Any
    content: bytes  # what it was made from: the same when the push is repeated in other wrappings
    confirm: str | None = None  # the URL that says yes


def check_content_type(name: str, decode: Decode, headers: Mapping[str, str]) -> None:
    """Raise WrongType unless the body claims to be what this provider sends."""
    mime = headers.get("content-type", "").partition(";")[0].strip().lower()
    if mime == "application/json" or (mime.startswith("application/") and mime.endswith("+json")):
        return
    if mime in _OTHER_TYPES.get(decode.name, ()):
        return
    list_keys = " or ".join(("application/json", *_OTHER_TYPES.get(decode.name, ())))
    raise WrongType(f"{name} pushes {list_keys}, not {mime or 'without_placeholders a type'}")


def decode_push(decode: Decode, push: Push, *, signed: bool = False) -> DecodedPush:
    """Decode a push; raise Unreadable if that cannot be.

    `signed`: by what covers the body, so that nothing beside it may be believed.
    """
    if signed and decode.name == "cloudevents" and "ce-specversion" in push.headers:
        raise Unreadable("a signed CloudEvent is structured: headers are not signed")
    return _DECODERS[decode.name](decode, push)


def _json(_decode: Decode, push: Push) -> DecodedPush:
    return DecodedPush(read_document(push.body), push.body)


def _form(decode: Decode, push: Push) -> DecodedPush:
    """The type is not signed, so it does not decide: what begins as JSON is no form."""
    if push.body.removeprefix(BOM)[:1] in (b"{", b"[") or not form_data.is_form(push.headers):
        return _json(decode, push)
    text = form_data.fields(push.headers, push.body).get(decode.field)
    if text is None:
        raise Unreadable(f"there is no field `{decode.field}` in the form")
    said = raw_bytes(text)
    return DecodedPush(read_document(said), said)


def _sns(_decode: Decode, push: Push) -> DecodedPush:
    """What kind of message it is says the body, which is signed; the header is not."""
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
            raise Unreadable("the body is no SNS message: it lacks Type, Message or SubscribeURL")


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
    """Attributes from the headers, percent-decoded; the body is the data."""
    named = {
        name[3:]: unquote(value)
        for name, value in push.headers.items()
        if name.startswith("ce-") and not name.startswith("ce-data")
    }
    if not {"id", "source", "type", "specversion"} <= named.keys():
        raise Unreadable("the push is no CloudEvent: no ce-id, ce-source, ce-type, ce-specversion")
    return {**named, "data": read_json(push.body) if push.body else None}


def _event_or_fault(event: object) -> dict[str, Any] | Unreadable:
    """One of a batch: what is wrong with it does not keep the others from being read."""
    try:
        return _event(as_object(event))
    except Unreadable as problem:
        return problem


def _event(event: dict[str, Any]) -> dict[str, Any]:
    """An event with its `data` decoded, and with what tells it from all others as `key`."""
    if isinstance(packed := event.get("data_base64"), str):
        try:
            data = base64.b64decode(packed, validate=True)
        except (binascii.Error, ValueError):
            raise Unreadable("data_base64 is not base64") from None
        event = {**event, "data": read_json(data)}
    return {**event, "key": f"{event.get('source')} {event.get('id')}"}


_OTHER_TYPES = {"form": (form_data.PLAIN, form_data.PARTS), "sns": ("text/plain",)}
_DECODERS: dict[str, Callable[[Decode, Push], DecodedPush]] = {
    "json": _json,
    "form": _form,
    "sns": _sns,
    "cloudevents": _cloudevents,
}
