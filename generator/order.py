"""The order in which components can be defined: what a definition needs comes before it."""

from __future__ import annotations

from generator.model import Alias, Component, Enumeration, Model, Union, names_in


def needs(component: Component) -> list[str]:
    """The components that a definition mentions, in alphabetical order."""
    match component:
        case Model():
            return sorted(set[str]().union(*(names_in(field.type) for field in component.fields)))
        case Alias():
            return sorted(names_in(component.type))
        case Union():
            return sorted({name for _, name in component.members} | {component.open_member})
        case Enumeration():
            return []


def definition_order(components: dict[str, Component]) -> tuple[tuple[Component, ...], frozenset[tuple[str, str]]]:
    """Sort components, and return the pairs of a class and a component that can only be defined after it.

    A class may mention such a component in quotes; an alias cannot, so an alias waits until all it needs is there.
    """
    ordered: list[Component] = []
    defined: set[str] = set()
    active: set[str] = set()
    early: set[tuple[str, str]] = set()

    def define(name: str) -> None:
        if name in defined or name in active:
            return
        component = components[name]
        if not isinstance(component, Model) and active.intersection(needs(component)):
            return
        active.add(name)
        for needed in needs(component):
            define(needed)
        active.discard(name)
        if isinstance(component, Model):
            early.update((name, needed) for needed in needs(component) if needed not in defined and needed != name)
            early.update((name, needed) for needed in needs(component) if needed == name)
        elif not defined.issuperset(needs(component)):
            return
        defined.add(name)
        ordered.append(component)

    while len(ordered) < len(components):
        before = len(ordered)
        for name in sorted(components):
            define(name)
        if len(ordered) == before:
            missing = ", ".join(sorted(set(components) - defined))
            raise ValueError(f"these aliases are defined by each other: {missing}")
    return tuple(ordered), frozenset(early)
