"""Suggestions for misspelled names."""
import difflib
from typing import Iterable, Optional


def nearest(word: str, known: Iterable[str]) -> Optional[str]:
    """The known name that was probably meant."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return near[0] if near else None


def did_you_mean(near: Optional[str]) -> str:
    return ", did you mean {}?".format(near) if near else ""
