"""Which network of a role a run takes: on a processor the manifest's order, with plans what was found to be best on the board.

Points and irises can come of two networks or of one that fills both roles: two ways. On a processor the one network is the
cheaper, and first in the manifest. Nobody has measured its grouped convolutions on a Nano, so with plans the networks of one
role go first, until `nanoface build --tune` has measured both ways there.
"""
import os
from importlib.util import find_spec
from typing import Any, Collection, Dict, List, Mapping, Optional, Sequence, Tuple

from edge.core.errors import ModelError
from edge.core.interface import is_file
from edge.core.roles import AUTO, FILLS_TOO, OFF, ROLES, TENSORRT
from edge.store.models import StoredNetwork, first_available, read_index
from edge.store.plans import plan_path, plans_dir


def with_plans(runtime: str) -> bool:
    """Whether a run would take plans: TensorRT was asked for, or is there to be taken."""
    return runtime == TENSORRT or runtime == AUTO and None not in (find_spec("tensorrt"), find_spec("pycuda"))


def preferred(home: str, config: Any, role: str, tuned: Mapping[str, str], board: Optional[bool] = None) -> List[str]:
    """The networks of a role in the order in which a run with this Config takes them; `tuned` as plans.chosen() has it.

    `board`: whether it takes plans, where that is known better than with_plans() knows it.
    """
    names = getattr(config.models, role)
    if not (with_plans(config.models.runtime) if board is None else board):
        return list(names)
    if "models." + role in config.chosen:
        return tuned_first(names, tuned.get(role, ""))
    off = [other for other in ROLES if getattr(config.models, other) == (OFF,)]
    return board_order(home, role, names, tuned.get(role, ""), off)


def tuned_first(names: Sequence[str], tuned: str) -> List[str]:
    return sorted(names, key=lambda name: name != tuned)


def board_order(home: str, role: str, names: Sequence[str], tuned: str, off: Collection[str] = (),
                anew: bool = False) -> List[str]:
    """First those whose way has all its plans, `tuned` before others, those of one role before those of several.

    So a tuned network without a plan never takes the place of one that has its own. `off`: roles that are switched off;
    `anew`: as if there were no plan yet.
    Where there is no network of several roles there is one way only, and the names are in their order.
    """
    index = read_index(home)
    roles = {name: _roles(index[name]) if name in index else (role,) + FILLS_TOO.get(name, ()) for name in names}
    shared = {other for found in roles.values() for other in found} - {role} - set(off)
    if all(len(found) == 1 for found in roles.values()):
        return tuned_first(names, tuned)

    def key(name: str) -> Tuple[bool, bool, int]:
        filled = roles[name]
        whole = not anew and os.path.exists(plan_path(home, role, name)) and all(
            other in filled or _has_plan(home, other) for other in shared)
        return not whole, name != tuned, len(filled)

    return sorted(names, key=key)


def _roles(entry: Mapping[str, Any]) -> Tuple[str, ...]:
    """Of an entry of the index; what is damaged is reported by locate()."""
    found = entry.get("roles")
    return tuple(str(role) for role in found) if isinstance(found, list) else (str(entry.get("role", "")),)


def _has_plan(home: str, role: str) -> bool:
    try:
        return any(name.startswith(role + "-") and name.endswith(".plan") for name in os.listdir(plans_dir(home)))
    except OSError:
        return False


def in_use(home: str, config: Any, tuned: Mapping[str, str], board: Optional[bool] = None) -> Dict[str, StoredNetwork]:
    """Role -> network that a run with this Config would take, as far as they were fetched and are whole. A role that the
    network of an earlier one fills has none of its own, unless the user named one.
    """
    found: Dict[str, StoredNetwork] = {}
    own = [role for role in ROLES if is_file(getattr(config.models, role)[0])]  # what runs them is no network of ours
    by_own = {other for role in own for other in FILLS_TOO.get(getattr(config.models, role + "_like"), ())}
    for role in ROLES:
        filled = role in by_own or any(role in network.roles for network in found.values())
        if getattr(config.models, role) == (OFF,) or (filled and "models." + role not in config.chosen):
            continue
        try:
            found[role] = first_available(home, preferred(home, config, role, tuned, board))[0]
        except ModelError:
            continue
    return found
