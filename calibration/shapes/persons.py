"""Persons by number: whoever asks for one again gets the same face, colours and light."""
from typing import Tuple

import numpy as np

from calibration.shapes.head import IctHead, Person
from calibration.shapes.paint import Look, some_look


def person_of(head: IctHead, number: int, spread: float = 0.8) -> Tuple[Person, Look, np.random.RandomState]:
    """The person, how they look, and what decides over the rest; `spread`: standard deviation of the coefficients."""
    random = np.random.RandomState(number)
    person = head.person(random.normal(0.0, spread, head.identity_count))
    return person, some_look(random), random
