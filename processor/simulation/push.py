"""Writes the pushes that a provider would send, and signs them."""

from typing import NamedTuple

from processor import signing
from processor.model import Push, StatusUpdate
from processor.provider import bare_id
from processor.provider.profile import Profile
from processor.signing import Verify
from processor.simulation.document_builder import wrap_at
from processor.simulation.encode_push import MULTIPART, EncodedPush, encode_push, form
from processor.simulation.write_update import candidate_documents


class UnsignedPush(NamedTuple):
    """A push before signing: its profile, its content, and the provider's id of it."""

    profile: Profile
    wrapped: EncodedPush
    push_id: str

    @property
    def push(self) -> Push:
        """The push without a signature."""
        return Push(self.wrapped.headers, self.wrapped.body)

    def signed(self, secret: str, now: float) -> Push:
        """The signed push; ValueError if only the provider can sign."""
        rule, wrapped = self.profile.verify, self.wrapped
        if rule is None:
            return self.push
        text = wrapped.text if _signs_fields(rule) else wrapped.body
        made = signing.sign_as_provider(rule, secret, text, now, self.push_id)
        headers = {name.lower(): value for name, value in made["headers"].items()}
        body = wrapped.body
        if made["form"] is not None and self.profile.push:
            fields = {self.profile.push.decode.field: wrapped.text.decode(), **made["form"]}
            multipart = wrapped.headers["content-type"].startswith(MULTIPART)
            kind, body = form(fields, multipart=multipart)
            headers |= kind
        return Push({**wrapped.headers, **headers}, body, made["query"])


def write_push(
    profile: Profile, kind: str | None, update: StatusUpdate, mode: str = ""
) -> UnsignedPush:
    """The push from which the profile reads this update; ValueError if there is none.

    `mode` is one of encode_push.MODES, for decoders that accept several encodings.
    """
    known = profile.kinds.get(kind)
    if profile.push is None or known is None or known.push is None:
        raise ValueError(f"{profile.name} does not push about this kind of job")
    for builder in candidate_documents(known.push, update, bare_id(kind, update.id)):
        document = wrap_at(profile.push.each, builder.document, in_list=True)
        wrapped = encode_push(profile.push.decode, document, mode)
        wrapped = wrapped._replace(headers={**wrapped.headers, **builder.headers})
        return UnsignedPush(profile, wrapped, update.event_id or "")
    raise ValueError(f"{profile.name}: no push says `{update.status}`")


def _signs_fields(rule: Verify) -> bool:
    """Whether the signature covers the JSON in a form field, and not the whole form."""
    return bool(rule.field) or "{field:" in rule.signs
