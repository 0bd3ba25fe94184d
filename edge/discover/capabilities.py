"""What /cml_info says of the trainers, and which of them its filters leave; and a trainer as the XML that DISCOVER reads."""
import json
from typing import Any, Dict, Iterable, List, Mapping, Sequence
from xml.sax.saxutils import quoteattr

from edge.discover.asked import SUB_TYPES, SUPER_TYPES
from edge.discover.trainers import SUFFIX, TRAINERS, Io, Trainer
from edge.host.reading import parse_json

BACKEND, CATEGORY, VERSION = "nova-server", "Face", "5"


def info(form: Mapping[str, str]) -> Dict[str, Any]:
    """Raises ValueError for filters that are no JSON lists of texts."""
    wanted = {type_: _filters(form.get(type_ + "_filter") or "[]") for type_ in ("input", "output")}
    good: Dict[str, str] = {}
    faulty: Dict[str, str] = {}
    for trainer in TRAINERS.values():
        place = "{0}/{0}{1}".format(trainer.name, SUFFIX)
        try:
            if all(_passes([io for io in trainer.ios if io.type == type_], filters) for type_, filters in wanted.items()):
                good[place] = json.dumps(declared(trainer, trainer.name + ".py"))
        except ValueError as e:
            faulty[place] = str(e)
    return {"chains_ok": {}, "chains_faulty": {}, "trainer_ok": good, "trainer_faulty": faulty}


def _filters(text: str) -> List[str]:
    filters = parse_json(text.encode("utf-8", "surrogateescape"))
    if not isinstance(filters, list) or not all(isinstance(one, str) for one in filters):
        raise ValueError("a filter is a JSON list of texts")
    return filters


def _passes(ios: Sequence[Io], filters: Sequence[str]) -> bool:
    """As their server has it: as many as there are filters, and every filter fits every one of them. Raises ValueError."""
    if not filters:
        return True
    if len(ios) != len(filters):
        return False
    return all(_fits(_parts(io.data), _parts(one)) for one in filters for io in ios)


def _fits(has: Sequence[str], asked: Sequence[str]) -> bool:
    return len(has) >= len(asked) and list(has[:len(asked)]) == list(asked)


def _parts(text: str) -> List[str]:
    """stream, ssistream, and the rest as one. Raises ValueError."""
    parts = text.lower().split(":", 2)
    for part, known, kind in zip(parts, (SUPER_TYPES, SUB_TYPES), ("SuperType", "SubType")):
        if part not in known:
            raise ValueError("{!r} is not a valid {}".format(part[:40], kind))
    return parts


def declared(trainer: Trainer, script: str) -> Dict[str, Any]:
    """With the keys of their server; what they call empty is empty."""
    ios = [{"type": io.type, "id": io.ids[0], "data": io.data, "default_value": io.default, "default_active": True}
           for io in trainer.ios]
    return {
        "model_script_path": script, "model_option_path": "", "model_option_string": trainer.optstr, "model_weights_path": "",
        "model_stream": "0", "model_create": trainer.create, "model_multirole_input": False, "users": [], "classes": [],
        "streams": [], "register": [], "info_trained": True, "meta_frame_step": 0, "meta_right_ctx": 0, "meta_left_ctx": 0,
        "meta_balance": "none", "meta_backend": BACKEND, "meta_io": json.dumps(ios), "meta_uri": "[]",
        "meta_description": trainer.description, "meta_is_iterable": False, "meta_enable_post_process": True,
        "meta_category": CATEGORY, "ssi_v": VERSION, "xml_version": "1.0",
    }


def xml(trainer: Trainer, script: str, comment: str) -> str:
    """A *.trainer file."""
    def tag(name: str, attributes: Iterable[Any], end: str = "/") -> str:
        return "<{}{}{}>".format(name, "".join(" {}={}".format(key, quoteattr(value)) for key, value in attributes), end)

    ios = [tag("io", (("type", io.type), ("id", io.ids[0]), ("data", io.data), ("default_value", io.default)))
           for io in trainer.ios]
    meta = (("backend", BACKEND), ("category", CATEGORY), ("description", trainer.description), ("is_iterable", "False"))
    return "\n".join([
        '<?xml version="1.0" ?>', "<!-- {} -->".format(comment), tag("trainer", (("ssi-v", VERSION),), ""),
        tag("info", (("trained", "true"), ("seed", "1234"))), tag("meta", meta, "")] + ["    " + io for io in ios] + [
        "</meta>", tag("model", (("create", trainer.create), ("script", script), ("optstr", trainer.optstr))),
        "</trainer>", ""])
