"""The words that an answer may hold. A word that stands in no list here leaves its answer not understood.

So nothing needs to be listed that changes a meaning ("not", "at least", "twice"): such words are simply unknown.
"""

import re


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


APPROXIMATELY = words("approximately approx about around roughly circa")
# before an answer, in any order
OPENINGS = words(
    "the final answer answers is are so thus hence therefore we get have obtain result value values solution solutions "
    "exactly equals equal it that correct simply just only ans"
)
# after it, in this order
CLOSINGS = [
    phrase.split()
    for phrase in ("exactly", "total", "in total", "in all", "altogether", "overall", "is the answer", "as required")
]
PERCENT = words("percent pct percentage percents")

QUALIFIERS = words("for where when whenever with if given over")
QUALIFYING = QUALIFIERS | words(
    "all any every each real reals positive negative non nonnegative nonzero zero natural complex rational integer "
    "integers number numbers value values some constant constants arbitrary fixed such that is are be an a the and or "
    "odd even prime of in on domain its any as real-valued every being denotes"
)

# forgiven in answers of words
ARTICLES = words("a an the is it its due of only")
# after the word that matters
NOUNS = words("function direction number")

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
SMALL = {word: value for value, word in enumerate(_ONES)} | {word: 10 * at for at, word in enumerate(_TENS, 2)}
SCALES = {
    "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12,
}  # fmt: skip
BASES = {word: base for base, word in enumerate(_ONES[2:17], 2)} | {"binary": 2, "octal": 8, "decimal": 10}

# labels that plain text writes without \text
LABELS = words(
    "area answer ans total sum product max min value length width height volume perimeter speed velocity time distance "
    "cost price probability prob number result average mean median mode range ratio angle radius diameter slope age "
    "mass force energy power temperature count rate difference remainder degree limit"
)
# other words of a label in \text
LABELLING = LABELS | words(
    "of the a an in per for and at to from with by or required desired final maximum minimum maximal minimal "
    "smallest largest greatest highest lowest possible expected whole new old first second third last next "
    "digit digits integer integers prime primes units area surface side sides circle triangle polygon rectangle "
    "line lines point points ways way solutions solution real positive number numbers coefficient coefficients "
    "term terms sequence problem question part is are equals value values all distinct different both each "
    "total amount weight height people students money profit interest percent percentage ratio fraction chance "
    "odds population we get have so thus hence therefore answers it that result let where our"
)
# in what follows a choice, these make it another thing
ALTERING = words(
    "not twice half double triple negative minus plus times less more least most opposite inverse reciprocal square "
    "squared cube cubed root isn't never no wrong incorrect false without except neither nor"
)

_SPELLINGS = """
m meter meters metre metres
cm centimeter centimeters centimetre centimetres
mm millimeter millimeters millimetre millimetres
km kilometer kilometers kilometre kilometres
nm nanometer nanometers nanometre nanometres
um micrometer micrometers micron microns
pm picometer picometers
inch inches in
foot feet ft
yard yards yd yds
mile miles mi
angstrom angstroms
lightyear lightyears ly
pc parsec parsecs
kpc kiloparsec kiloparsecs
Mpc megaparsec megaparsecs
AU
s second seconds sec secs
ms millisecond milliseconds
ns nanosecond nanoseconds
minute minutes min mins
hour hours hr hrs h
day days
week weeks
month months
year years yr yrs
Gyr
Myr
decade decades
century centuries
g gram grams
kg kilogram kilograms
mg milligram milligrams
lb lbs pound pounds
ounce ounces oz
ton tons tonne tonnes
L liter liters litre litres l
mL milliliter milliliters millilitre ml
gallon gallons gal
quart quarts
pint pints
cup cups
J joule joules
kJ kilojoule kilojoules
eV electronvolt electronvolts
keV
MeV
GeV
cal calorie calories
kcal kilocalorie kilocalories
erg ergs
N newton newtons
kN
dyne dynes dyn
W watt watts
kW kilowatt kilowatts
MW
V volt volts
mV
kV
A amp amps ampere amperes
mA
ohm ohms
C coulomb coulombs
F farad farads
uF
nF
H henry
T tesla teslas
G gauss
Pa pascal pascals
kPa
atm
bar
Hz hertz
kHz
MHz
GHz
K kelvin kelvins
mol mole moles
M molar
rad radian radians
sr steradian steradians
degree degrees deg
arcmin arcminute arcminutes
arcsec arcsecond arcseconds
dollar dollars usd USD
cent cents
euro euros
yuan
rupee rupees
mph
kmh
rpm
dB
unit units
bit bits
byte bytes
"""
COUNTED = words(
    "people students ways times points children men women girls boys persons person student child man woman dogs cats "
    "mice geese fish sheep dice feet teeth items pieces way solution pair side degree step turn digit"
)
UNITS: dict[str, str] = {
    spelling: line.split()[0] for line in _SPELLINGS.split("\n") if line for spelling in line.split()
}
POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3, "squared": 2, "cubed": 3}
# that also end in s, and are no things to count
_NOT_COUNTED = words(
    "times plus minus less is has was does this thus always sometimes halves thirds quarters fourths fifths sixths "
    "sevenths eighths ninths tenths hundredths thousandths hundreds thousands millions billions trillions dozens "
    "tens ones twos choices guesses negatives opposites multiples divisors factors powers roots squares cubes inverses "
    "reciprocals others ours theirs its versus perhaps besides unless across towards us as yes doubles triples pairs "
    "plusses minuses answers options solutions percents remainders bases modulus"
) - {"pairs", "solutions", "divisors", "factors", "roots", "squares", "cubes", "choices"}
_PLURAL = re.compile(r"[a-z]{3,}s")


def unit_named(word: str, roman: bool) -> str | None:
    """The one name of a unit or of what is counted; None: the word is neither.

    Units' symbols are told apart by their case, their names aren't. Plain letters, which may be a product, count as a
    unit where they spell a symbol of two letters or a name; any plural in ``\\text`` is a thing that is counted.
    """
    if found := UNITS.get(word) or (UNITS.get(word.lower()) if len(word) > 3 else None):
        return found
    lower = word.lower()
    if lower in COUNTED:
        return lower
    return lower if roman and _PLURAL.fullmatch(lower) and lower not in _NOT_COUNTED else None


# of mathematics: functions of known values, and names of commands that stand for values
FUNCTIONS = words(
    "sin cos tan cot sec csc arcsin arccos arctan arccot sinh cosh tanh coth log ln lg exp max min gcd lcm arg Re Im "
    "sgn sign abs floor ceil"
)
NAMES = words(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta kappa lambda mu nu xi rho varrho sigma tau phi "
    "varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega hbar ell odot oplus emptyset AA partial "
    "mho nabla R Z Q N C circ star dagger infty"
)
