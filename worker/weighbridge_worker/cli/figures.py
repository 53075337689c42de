"""How numbers look to a person: tokens, dollars, shares, bars."""

from decimal import ROUND_HALF_UP, Decimal

FULL, PARTS = "█", " ▏▎▍▌▋▊▉"
NOTHING = "–"


def tokens(number: int | None, *, estimated: bool, signed: bool = False) -> str:
    """Write tokens; an estimate is marked, what is not known is a dash."""
    if number is None:
        return NOTHING
    return f"{'~' if estimated else ''}{number:{'+' if signed and number else ''},}"


def dollars(amount: Decimal | None, *, estimated: bool = False) -> str:
    """Write dollars with two digits that count, however small."""
    if amount is None:
        return NOTHING
    places = 2
    while amount and abs(amount) < Decimal(10) ** (1 - places) and places < 8:
        places += 1
    rounded = amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    return f"{'~' if estimated else ''}${rounded:,}"


def share(part: float | None) -> str:
    """Write a share of a whole."""
    return NOTHING if part is None else f"{part:.1%}"


def bar(part: float, whole: float, width: int) -> str:
    """Draw a share of a width in eighths of a column."""
    eighths = round(8 * width * part / whole) if whole > 0 else 0
    full, rest = divmod(max(0, eighths), 8)
    return FULL * full + (PARTS[rest] if rest else "")
