"""Personal data: what counts as such, how it looks masked, and what happens when a mask comes back."""

from domain.privacy.declared import Personal, Shape, declared_in, misplaced_in, shapes_of
from domain.privacy.kinds import KINDS, Kind, masked_key, masked_record, masked_record_key, masked_text
from domain.privacy.masking import Masking
from domain.privacy.restoring import restored

__all__ = [
    "KINDS",
    "Kind",
    "Masking",
    "Personal",
    "Shape",
    "declared_in",
    "masked_key",
    "masked_record",
    "masked_record_key",
    "masked_text",
    "misplaced_in",
    "restored",
    "shapes_of",
]
