"""What the engine hands to the protocol."""

from dataclasses import dataclass

from hmt_pass.endpoint.card import Kind
from hmt_pass.permit import Permit


@dataclass(frozen=True, slots=True)
class Reading:
    """A permit that was found in a picture. A field that could not be read is empty: empty beats wrong."""

    kind: Kind
    permit: Permit
