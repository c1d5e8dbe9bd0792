"""Amazon SNS signatures: RSA over some members of the message, with a certificate that it names."""

import re
from collections.abc import Sequence

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from processor.errors import BadSignature, UnknownKey, Unreadable
from processor.json_input import raw_bytes, read_json
from processor.model import Push
from processor.signing.keys import Key
from processor.signing.parse import timestamp as parse_timestamp
from processor.signing.parse.encoding import decoded
from processor.signing.parsed_signature import ParsedSignature
from processor.signing.schemes.sns_certificate import public_key

# The middle must be a region, such as us-gov-west-1: `sns.s3-us-west-2.amazonaws.com` would be
# somebody's bucket. The whole URL is matched as text, so that two parsers cannot read different
# hosts from it.
_HOST = r"https://sns\.[a-z]{2}(?:-[a-z]+){1,3}-[0-9]{1,2}\.amazonaws\.com(?:\.cn)?"
_URL = re.compile(_HOST + r"/[!\"$-\[\]-~]{0,2000}")
_CERTIFICATE = re.compile(_HOST + r"/SimpleNotificationService-[0-9a-f]{1,64}\.pem")

VERSIONS: dict[str, hashes.HashAlgorithm] = {
    "1": hashes.SHA1(),  # noqa: S303 - SNS's default, unless the topic is set to version 2
    "2": hashes.SHA256(),
}

_Text = str | None


class Message(msgspec.Struct, frozen=True, rename="pascal"):
    """An SNS message of any type. A null member counts as absent."""

    signature: _Text = None
    signature_version: _Text = None
    message: _Text = None
    message_id: _Text = None
    subject: _Text = None
    subscribe_url: _Text = msgspec.field(default=None, name="SubscribeURL")
    timestamp: _Text = None
    token: _Text = None
    topic_arn: _Text = None
    type: _Text = None
    signing_cert_url: _Text = msgspec.field(default=None, name="SigningCertURL")
    lambda_cert_url: _Text = msgspec.field(default=None, name="SigningCertUrl")  # in Lambda events


SIGNED = (
    "Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
)  # fmt: skip
_SIGNED = tuple(
    (field.name, field.encode_name)
    for name in SIGNED
    for field in msgspec.structs.fields(Message)
    if field.encode_name == name
)
_DECODER = msgspec.json.Decoder(Message)


def parse_message(push: Push) -> Message:
    """Decode the body; BadSignature unless it is a JSON object whose members are strings."""
    try:
        return _DECODER.decode(push.body)
    except (ValueError, RecursionError):  # again with the tolerant reader that the decoder uses
        return _parse_tolerantly(push.body)


def _parse_tolerantly(body: bytes) -> Message:
    try:
        return msgspec.convert(read_json(body), Message)
    except (Unreadable, ValueError):  # ValueError: msgspec's, or text that is not Unicode
        raise BadSignature(
            "the body is not an SNS message: JSON whose members are strings"
        ) from None


def read(push: Push) -> ParsedSignature:
    """Parse the signature of a message; BadSignature if something is missing."""
    message = parse_message(push)
    if message.signature_version not in VERSIONS:
        raise BadSignature(f"SignatureVersion is not one of {', '.join(VERSIONS)}")
    if not message.signature or not message.signature.isascii():
        raise BadSignature("the message has no Signature")
    _certificate_url(message)  # checked even if the certificate is known already
    time = parse_timestamp.iso(message.timestamp or "", "Timestamp")
    return ParsedSignature(
        (message.signature,), (_signed(message),), time, message.signature_version or ""
    )


def check(_keys: Sequence[Key], parsed: ParsedSignature, now: float, document: bytes) -> None:
    """Raise UnknownKey unless the certificate is Amazon's, valid now, and made the signature."""
    key = public_key(document, now)
    try:
        signature = decoded("base64", parsed.signatures[0])
        key.verify(signature, parsed.content[0], PKCS1v15(), VERSIONS[parsed.version])
    except (InvalidSignature, ValueError):
        raise UnknownKey("Signature was not made with the certificate's key") from None


def keys_url(push: Push) -> str:
    """Return the certificate's URL; BadSignature unless it is Amazon's."""
    return _certificate_url(parse_message(push))


def amazon_url(url: str) -> str:
    """Return a URL of SNS, such as a SubscribeURL, unchanged; BadSignature for any other URL."""
    if not _URL.fullmatch(url):
        raise BadSignature("the URL is not one of https://sns.REGION.amazonaws.com")
    return url


def sender(push: Push) -> str | None:
    """Return the topic that the message names as its sender."""
    return parse_message(push).topic_arn


def member(push: Push, name: str) -> str:
    """Return a member of the message by its JSON name; "" if it is absent."""
    field = next(field for field in msgspec.structs.fields(Message) if field.encode_name == name)
    return getattr(parse_message(push), field.name) or ""


def _certificate_url(message: Message) -> str:
    url = message.signing_cert_url or message.lambda_cert_url or ""
    if not _CERTIFICATE.fullmatch(url):
        raise BadSignature("SigningCertURL is not https://sns.REGION.amazonaws.com/….pem")
    return url


def _signed(message: Message) -> bytes:
    """The members that are present, sorted by name: one line for the name, one for the value."""
    lines = ((name, getattr(message, member)) for member, name in _SIGNED)
    text = "".join(f"{name}\n{value}\n" for name, value in lines if value)
    return raw_bytes(text)
