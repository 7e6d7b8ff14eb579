"""Units: how each may be written, and which other units are certainly another one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """`spellings` follow a number and mean the same; `others` mean another unit."""

    spellings: tuple[str, ...]
    others: tuple[str, ...]


_SQUARE_CM = Unit(
    (r"\text{ cm}^2", r"\,\mathrm{cm}^2", r"\text{ square centimeters}", r"\ \text{cm}^{2}", " cm^2", r"\text{ cm²}"),
    (r"\text{ cm}", r"\text{ cm}^3", r"\text{ m}^2", r"\text{ square inches}"),
)
_SQUARE_INCH = Unit(
    (r"\text{ in}^2", r"\text{ square inches}", r"\ \text{inches}^2", " in^2", r"\text{ sq. in.}"),
    (r"\text{ inches}", r"\text{ in}^3", r"\text{ ft}^2", r"\text{ square centimeters}"),
)
_CENT = Unit((r"\text{ cents}", " cents", r"\,\mathrm{cents}"), (r"\text{ dollars}", r"\text{ euros}"))
_METER = Unit(
    (r"\text{ m}", r"\,\mathrm{m}", r"\text{ meters}", r"\text{ metres}", " m"),
    (r"\text{ km}", r"\text{ cm}", r"\text{ feet}", r"\text{ m}^2", r"\text{ s}"),
)
_HOUR = Unit(
    (r"\text{ hours}", r"\text{ h}", r"\text{ hrs}", r"\,\mathrm{h}", " hours"),
    (r"\text{ minutes}", r"\text{ seconds}", r"\text{ days}", r"\text{ km}"),
)
_KILOGRAM = Unit(
    (r"\text{ kg}", r"\,\mathrm{kg}", r"\text{ kilograms}", " kg"),
    (r"\text{ g}", r"\text{ mg}", r"\text{ lb}", r"\text{ tonnes}", r"\text{ km}"),
)
UNITS = {
    "cm^2": _SQUARE_CM,
    "inches^2": _SQUARE_INCH,
    "in^2": _SQUARE_INCH,
    "cents": _CENT,
    "m": _METER,
    "meters": _METER,
    "hours": _HOUR,
    "kg": _KILOGRAM,
}

IN_TEXT = (
    *(r"\text{ cm}", r"\text{ meters}", r"\ \mathrm{km/h}", r"\,\mathrm{kg}", r"\text{ hours}", r"\mbox{ inches}"),
    *(r"\text{ units}", r"\text{ square units}", r"\;\text{m/s}"),
)
WITH_POWERS = (
    *(r"\text{ cm}^2", r"\ \text{m}^3", r"\,\mathrm{m\,s^{-2}}", r"\,\text{m/s}^2", r"\text{ inches}^2"),
    *(r"\,\mathrm{kg\,m^{-3}}", r"\text{ erg s}^{-1}", r"\,\text{cm}^{-1}"),
)
JOINED = (
    *(r"\,\text{J} \cdot \text{s}", r"\, \text{kg} \cdot \text{m/s}^2", r"\,\mathrm{N} \cdot \mathrm{m}"),
    *(
        r"\ \text{kg}\cdot\text{m}^2",
        r"\,\mathrm{W}/\mathrm{m}^2",
        r"\, \text{g}/\text{cm}^3",
        r"\,\text{N}\times\text{m}",
    ),
)
SYMBOLS = (
    *(r" M_\odot", r"\,\mu\mathrm{m}", r"\,\Omega", r"\,\AA", r"\,^\circ\text{C}", r"\,\mu \text{s}", r"\, L_{\odot}"),
    *(r"\,k\Omega", r"\;\text{Å}", r"\,\text{μm}", r"^\circ \mathrm{F}"),
)
PLAIN = (" nm", " cm", " in^2", " km/h", " m/s", " kg", r" \degree C", " cm^2", " m^3", " mol", " inches", " eV")
COUNTED = (r"\text{ people}", r"\text{ ways}", r"\text{ apples}", r"\text{ students}", r"\text{ integers}")
