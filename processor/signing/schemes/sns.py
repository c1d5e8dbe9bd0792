"""Amazon SNS: RSA over a list of the message's members, with a certificate that it names."""

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

# What lies between must be a region, such as us-gov-west-1: `sns.s3-us-west-2.amazonaws.com`
# would be somebody's bucket. Whole, as text, so that no two readers of the URL can see
# different hosts in it.
_HOST = r"https://sns\.[a-z]{2}(?:-[a-z]+){1,3}-[0-9]{1,2}\.amazonaws\.com(?:\.cn)?"
_URL = re.compile(_HOST + r"/[!\"$-\[\]-~]{0,2000}")
_CERTIFICATE = re.compile(_HOST + r"/SimpleNotificationService-[0-9a-f]{1,64}\.pem")

VERSIONS: dict[str, hashes.HashAlgorithm] = {
    "1": hashes.SHA1(),  # noqa: S303 - what SNS signs with unless a topic says otherwise
    "2": hashes.SHA256(),
}

_Text = str | None


class Message(msgspec.Struct, frozen=True, rename="pascal"):
    """An SNS message, of any of its types. What is null is not there."""

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
    lambda_cert_url: _Text = msgspec.field(default=None, name="SigningCertUrl")  # as Lambda has it


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


def message(push: Push) -> Message:
    """Read the body; BadSignature unless it is a message whose members are texts."""
    try:
        return _DECODER.decode(push.body)
    except (ValueError, RecursionError):  # once more, as it will be read
        return _salvaged(push.body)


def _salvaged(body: bytes) -> Message:
    try:
        return msgspec.convert(read_json(body), Message)
    except (Unreadable, ValueError):  # msgspec's, or of a text that is not Unicode
        raise BadSignature("the body is no SNS message: JSON whose members are texts") from None


def read(push: Push) -> ParsedSignature:
    """Take a push apart; BadSignature if the message lacks something."""
    told = message(push)
    if told.signature_version not in VERSIONS:
        raise BadSignature(f"SignatureVersion is none of {', '.join(VERSIONS)}")
    if not told.signature or not told.signature.isascii():
        raise BadSignature("the message has no Signature")
    _certificate_url(told)  # whoever has the document: it must be from there
    time = parse_timestamp.iso(told.timestamp or "", "Timestamp")
    return ParsedSignature((told.signature,), (_signed(told),), time, told.signature_version or "")


def check(_keys: Sequence[Key], claim: ParsedSignature, now: float, document: bytes) -> None:
    """UnknownKey unless the certificate is SNS', valid now, and its key made the signature."""
    key = public_key(document, now)
    try:
        signature = decoded("base64", claim.signatures[0])
        key.verify(signature, claim.content[0], PKCS1v15(), VERSIONS[claim.version])
    except (InvalidSignature, ValueError):
        raise UnknownKey("Signature was not made with the certificate's key") from None


def keys_url(push: Push) -> str:
    """Give the certificate's URL; BadSignature unless it is Amazon's."""
    return _certificate_url(message(push))


def amazon_url(url: str) -> str:
    """Give back a URL at which SNS answers, such as a SubscribeURL; BadSignature for any other."""
    if not _URL.fullmatch(url):
        raise BadSignature("the URL is not one of https://sns.REGION.amazonaws.com")
    return url


def sender(push: Push) -> str | None:
    """Give the topic that a message says it comes from."""
    return message(push).topic_arn


def member(push: Push, name: str) -> str:
    """Give a member of the message by its name there; empty if it holds none."""
    field = next(field for field in msgspec.structs.fields(Message) if field.encode_name == name)
    return getattr(message(push), field.name) or ""


def _certificate_url(told: Message) -> str:
    url = told.signing_cert_url or told.lambda_cert_url or ""
    if not _CERTIFICATE.fullmatch(url):
        raise BadSignature("SigningCertURL is not https://sns.REGION.amazonaws.com/….pem")
    return url


def _signed(told: Message) -> bytes:
    """Names and values, a line each, of those that are there, in the order of their names."""
    lines = ((name, getattr(told, member)) for member, name in _SIGNED)
    text = "".join(f"{name}\n{value}\n" for name, value in lines if value)
    return raw_bytes(text)
