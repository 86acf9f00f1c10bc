"""The JSON Schema of the language, for editors: what the table says, in the words that editors understand.

The idea: each shape becomes one flat schema, in which a keyword speaks of one type only (``pattern`` of text,
``properties`` of mappings), so that a text with ``${name}`` may stand everywhere without an alternative, and a slip
deep down is one message at its place. The constraint: the schema is never stricter than the validator, or an editor
would underline what runs; what no schema can say (whether a variable is declared, whether a step is ever played) it
lets through, and ``simkit lint`` says it. Alternatives (``oneOf``, and ``anyOf`` with one branch for each verb) were
refused: of a misspelt verb an editor would say that it fits none of seventeen.

Two things make parts of the table looser here. A key may be written as ``${name}``, so what is missing is not told
where such a key stands. And a file that ``extends`` another need not be whole, and takes a key away by leaving nothing
behind it; so what a whole file needs on the way from its top through mappings stands apart, and is asked of a file
that extends nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from simkit.contracts import Law
from simkit.language.keywords import (
    CONDITIONS,
    PLAIN_KEYS,
    SOMETHING,
    VARIABLE,
    Schema,
    fitting,
    may_be_nothing,
    or_nothing,
    scalar,
    typed,
    united,
)
from simkit.language.remedies import how_to_write
from simkit.language.shapes import (
    OPERATORS,
    Count,
    Data,
    Either,
    Fact,
    Flag,
    Json,
    Key,
    LawItem,
    ListOf,
    Names,
    Operator,
    Pattern,
    Record,
    Shape,
    Span,
    Verb,
)
from simkit.language.spec import FORMAT, OFF, PARAMETERS, SCENARIO
from simkit.language.topics import placed, sample_record, sample_value
from simkit.language.walker import needs_no_value, suits
from simkit.language.yamltext import Inline, mapping_lines

# What is large, or stands in many places: drawn once, and referred to.
_SHARED: Final = (Record, Fact, Span, Count, Flag)


def schema(laws: Iterable[Law]) -> Schema:
    """Return the JSON Schema of a scenario file; ``laws`` are those that a scenario can name."""
    drawing = _Drawing(list(laws))
    # No key at the top is ever a variable, so nothing there waits for one.
    root = {**_closed_to(SCENARIO), **drawing.mapping(SCENARIO, part=True)}
    del root["title"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:simkit:scenario:{FORMAT}",
        "title": "simkit scenario",
        "description": f"A scenario of simkit (*.sim.yaml), format {FORMAT}.",
        "fileMatch": ["*.sim.yaml"],
        "type": "object",
        **root,
        "if": {"properties": {"extends": {"type": "string"}}, "required": ["extends"]},
        "else": {**drawing.whole(SCENARIO), **_required(SCENARIO)},
        "$defs": dict(sorted((drawing.definitions | CONDITIONS).items())),
    }


class _Drawing:
    """Draws shapes; those that are shared are drawn once, as definitions."""

    def __init__(self, laws: list[Law]) -> None:
        self._laws = laws
        self._names: dict[tuple[Shape, bool], str] = {}
        self.definitions: dict[str, Schema] = {}

    def draw(self, shape: Shape, *, part: bool = False) -> Schema:
        """Return the schema of a shape. A ``part`` may be completed by the file that is extended."""
        if not isinstance(shape, _SHARED):
            return self._drawn(shape, part=part)
        if (shape, part) not in self._names:
            name = _free_name(shape, part=part, taken=self._names.values())
            self._names[shape, part] = name
            self.definitions[name] = self._drawn(shape, part=part)
        return {"$ref": f"#/$defs/{self._names[shape, part]}"}

    def _drawn(self, shape: Shape, *, part: bool) -> Schema:
        drawn = self._whole_or_part(shape, part=part)
        return or_nothing(drawn) if part else drawn

    def _whole_or_part(self, shape: Shape, *, part: bool) -> Schema:
        match shape:
            case ListOf():
                said = f"expected {shape.called} - write each item behind a dash"
                bounds = {"minItems": shape.least} if shape.least else {}
                return {**typed("array", said=said), "items": self.draw(shape.item), **bounds}
            case Names():
                return self._free_names(shape, part=part)
            case Record():
                return self._record(shape, part=part)
            case Either():
                return united(scalar(shape.scalar), self._closed_mapping(shape.mapping, part=part))
            case Fact():
                return self._fact(shape, part=part)
            case LawItem():
                return self._law()
            case Data():
                return {}
            case Json():
                return {"type": ["object", "string"]}
        return scalar(shape)

    # -- mappings ----------------------------------------------------------------------------------
    def _free_names(self, shape: Names, *, part: bool) -> Schema:
        return {
            **typed("object", said=f"expected {shape.called} - write name: and {shape.item.called}"),
            "propertyNames": fitting(shape.name.pattern, f"expected {shape.name.called}"),
            "additionalProperties": self.draw(shape.item, part=part),
        }

    def _record(self, shape: Record, *, part: bool) -> Schema:
        said = f"expected {shape.called} - {how_to_write(shape)}"
        alone = [verb.key.name for verb in shape.verbs if needs_no_value(verb.key.shape)]
        drawn = typed("object", words=alone, said=said)
        otherwise = {"else": {"if": drawn.pop("if"), "then": drawn.pop("then")}}
        return {**drawn, **self._closed_mapping(shape, part=part), **otherwise}

    def _closed_mapping(self, shape: Record, *, part: bool) -> Schema:
        """Return what is asked of a mapping with these keys; where a key is a variable, it may be any of them."""
        rules = _closed_to(shape) if part else {**_closed_to(shape), **_complete(shape)}
        return {**self.mapping(shape, part=part), "if": PLAIN_KEYS, "then": rules}

    def mapping(self, shape: Record, *, part: bool) -> Schema:
        """Return what stands behind each key of a mapping, and what an editor can say of it."""
        snippets = _snippets(shape)
        return {
            "title": shape.called,
            "properties": self._properties(shape, part=part),
            **({"defaultSnippets": snippets} if snippets else {}),
        }

    def _properties(self, shape: Record, *, part: bool) -> Schema:
        drawn: Schema = {}
        for key, _, _ in placed(shape):
            said = _described(shape, key)
            if key.name not in drawn:
                drawn[key.name] = {**self.draw(key.shape, part=part), **said}
            elif drawn[key.name]["description"] != said["description"]:
                # One name with a meaning beside each verb, such as the headers of a stream and of a status.
                both = f"{drawn[key.name]['description']} Or: {said['description']}"
                drawn[key.name] = {**drawn[key.name], "description": both, "markdownDescription": both}
        return drawn

    # -- facts and laws ----------------------------------------------------------------------------
    def _fact(self, shape: Fact, *, part: bool) -> Schema:
        value = or_nothing(scalar(shape.of)) if shape.main else scalar(shape.of)
        mapping = {} if shape.op else self._comparison(shape, part=part)
        return united(value, mapping) if mapping else value

    def _comparison(self, shape: Fact, *, part: bool) -> Schema:
        """Return what is asked of a mapping in the place of a fact: parts of it, or one operator and its operand."""
        operands = {o.name: {**self._operand(o, shape.of), "description": o.says} for o in OPERATORS if suits(o, shape)}
        alone = {o.name: {"maxProperties": 1} for o in OPERATORS}
        match shape.parts:
            case None:
                one = {"minProperties": 1, "maxProperties": 1, "additionalProperties": False}
                return {"properties": operands, **one} if operands else {}
            case Names(item=item):
                unfit: Schema = {o.name: False for o in OPERATORS if o.name not in operands}
                others = {"additionalProperties": self.draw(item), "dependentSchemas": alone}
                return {"properties": operands | unfit, **others}
        parts = self._properties(shape.parts, part=part) | operands
        closed = {"minProperties": 1, "additionalProperties": False}
        return {"properties": parts, **closed, **({"dependentSchemas": alone} if operands else {})}

    def _operand(self, operator: Operator, of: Shape) -> Schema:
        match operator.operand:
            case "one":
                return self.draw(of)
            case "pattern":
                return self.draw(Pattern())
            case "two":
                return {**self.draw(ListOf(item=of, least=2)), "maxItems": 2}
        return self.draw(ListOf(item=of, least=1))

    def _law(self) -> Schema:
        alone = {
            "type": "string",
            "enum": [law.name for law in self._laws],
            "enumDescriptions": [law.says for law in self._laws],
        }
        named = [alone, {"pattern": VARIABLE}]
        off = self._properties(OFF, part=False)
        off["off"] = {**off["off"], "anyOf": named}
        values = {
            law.name: {**self.draw(PARAMETERS[law.parameter]), "description": law.says}
            for law in self._laws
            if law.parameter is not None
        }
        return {
            "type": ["string", "object"],
            "anyOf": named,
            "properties": off | values,
            "minProperties": 1,
            "additionalProperties": False,
            "dependentSchemas": {name: {"maxProperties": 1} for name in values},
            "dependentRequired": {"off": ["because"], "because": ["off"]},
        }

    # -- what a whole file has ---------------------------------------------------------------------
    def whole(self, shape: Shape) -> Schema:
        """Return what is asked of this shape in a file that extends nothing, on the way through mappings only."""
        match shape:
            case Record() as record:
                return self._whole_values(record)
            case Either(mapping=record) | Fact(parts=Record() as record):
                return self._whole_values(record)
            case Names(item=item):
                return {"additionalProperties": self._whole_value(item)}
        return {}

    def _whole_values(self, record: Record) -> Schema:
        values = {key.name: self._whole_value(key.shape) for key, _, _ in placed(record)}
        return {"properties": {name: value for name, value in values.items() if value}}

    def _whole_value(self, shape: Shape) -> Schema:
        """Return what is asked of a value: that it is there, and whole."""
        record = shape if isinstance(shape, Record) else shape.mapping if isinstance(shape, Either) else None
        missing = _complete(record) if record is not None else {}
        complete = {"if": PLAIN_KEYS, "then": missing} if missing else {}
        there = {} if may_be_nothing(self._drawn(shape, part=False)) else SOMETHING
        return {**self.whole(shape), **there, **complete}


# -- records ---------------------------------------------------------------------------------------------------------
def _closed_to(shape: Record) -> Schema:
    """Return what says which keys may stand in a record, and which of them side by side."""
    names = _names(shape)
    if not shape.verbs:
        apart = _apart(shape)
        return {**_closed(names), **({"dependentSchemas": apart} if apart else {})}
    verbs = [verb.key.name for verb in shape.verbs]
    return {
        "dependentSchemas": {verb.key.name: _unless_extra(shape, verb, _only(shape, verb)) for verb in shape.verbs},
        "if": {"not": {"anyOf": [{"required": [verb]} for verb in verbs]}},
        "then": _closed(names),
    }


def _names(shape: Record) -> list[str]:
    return list(dict.fromkeys(key.name for key, _, _ in placed(shape)))


def _closed(names: Iterable[str]) -> Schema:
    return {"properties": dict.fromkeys(names, True), "additionalProperties": False}


def _only(shape: Record, verb: Verb) -> Schema:
    """Return what says which keys may stand in a record with this verb."""
    names = [verb.key.name, *(key.name for key in (*verb.extras, *shape.keys))]
    said = (
        f"beside {verb.key.name!r} only these can stand: {', '.join(names[1:])}"
        if names[1:]
        else f"{verb.key.name!r} stands alone"
    )
    return {"propertyNames": {"enum": names, "errorMessage": said}}


def _unless_extra(shape: Record, verb: Verb, rule: Schema) -> Schema:
    """Return the rule of a verb, which does not hold where it is what stands beside another."""
    owners = [v.key.name for v in shape.verbs if any(extra.name == verb.key.name for extra in v.extras)]
    if not owners:
        return rule
    return {"if": {"not": {"anyOf": [{"required": [owner]} for owner in owners]}}, "then": rule}


def _apart(shape: Record) -> Schema:
    """Return what says of a key which others cannot stand beside it; each pair is told of once."""
    apart: dict[str, list[str]] = {}
    for group in shape.either:
        for place, name in enumerate(group[:-1]):
            known = apart.setdefault(name, [])
            known += [other for other in group[place + 1 :] if other not in known]
    return {name: {"propertyNames": _none_of(others, name)} for name, others in apart.items()}


def _none_of(names: Sequence[str], beside: str) -> Schema:
    said = f"this cannot stand beside {beside!r}"
    return {"pattern": f"^(?!({'|'.join(names)})$)", "patternErrorMessage": said, "errorMessage": said}


def _required(shape: Record) -> Schema:
    required = [key.name for key in shape.keys if key.required]
    return {"required": required} if required else {}


def _complete(shape: Record) -> Schema:
    """Return what asks for the keys that must be there: the required ones, and one verb."""
    if not shape.verbs:
        return _required(shape)
    verbs = [verb.key.name for verb in shape.verbs]
    others = [name for name in _names(shape) if name not in verbs]
    # No mapping is ever one of these words: so the verbs stand in what is said of one that has none of them.
    missing = {"enum": verbs, "errorMessage": f"{shape.called} needs one of {', '.join(verbs)}"}
    return {**_required(shape), "allOf": [{"if": {"propertyNames": {"enum": others}}, "then": missing}]}


# -- for people ------------------------------------------------------------------------------------------------------
def _described(record: Record, key: Key) -> Schema:
    default = f" Default: {key.default}." if key.default else ""
    lines = mapping_lines({key.name: Inline(sample_value(record, key))})
    return {
        "description": f"{key.says}{default}",
        "markdownDescription": "\n".join([f"{key.says}{default}", "", "```yaml", *lines, "```"]),
    }


def _snippets(shape: Record) -> list[Schema]:
    """Return what an editor can fill in at once: the keys that must be there."""
    if not any(key.required for key in shape.keys):
        return []
    return [{"label": shape.called, "description": "The keys that it needs.", "body": sample_record(shape)}]


def _free_name(shape: Record | Fact | Span | Count | Flag, *, part: bool, taken: Iterable[str]) -> str:
    """Return the name of a definition, after what the shape is called."""
    called = shape.called
    if isinstance(shape, Fact):
        called = shape.parts.called if isinstance(shape.parts, Record) else f"compared {shape.called}"
    elif isinstance(shape, Span):
        called += " or forever" * shape.forever + " above zero" * (not shape.zero)
    words = re.sub(r"\W+", "_", re.sub(r"\b(?:an?|the) ", "", called)).strip("_")
    first = f"{words}_in_part" if part else words
    used = set(taken)
    numbered = (first if count == 1 else f"{first}_{count}" for count in range(1, len(used) + 2))
    return next(name for name in numbered if name not in used)
