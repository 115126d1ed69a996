"""Word lists and phrasing helpers that the workloads share.

About one draw in ten is a made-up word, so that a model learns to copy words it has never seen.
"""

import re
from collections.abc import Sequence
from random import Random

FIRST_NAMES = """
Mira Omar Lena Tariq Sofia Hugo Aiko Pablo Nina Ravi Zara Felix Amina Jonas Priya Luca Ingrid Kofi
Elena Mateo Yuki Carlos Freya Hassan Clara Diego Hana Ivan Leila Marco Noor Oscar Petra Quinn Rosa
Samir Tara Umar Vera Wei Ximena Yusuf Zoe Anders Bianca Chidi Dalia Emil Fatima George Heidi Isaac
Jana Kenji Lars Maya Nadia Olga Paul Rania Stefan Tomas Uma Victor Wanda Xavier Yara Zane Adam Beth
Chen Dora Erik Flora Greta Henry Iris Jamal Karin Leo Maria Nils Olive Peter Ruth Simon Tina Viktor
Walter Alice Ben Cora David Emma Frank Gina Harry Ida Jack Kate Liam Mona Noah Otto Pia Rita Sam Tom
Ursula Vince Willa Anna Bruno Carmen Dana Eva Finn Gloria Helen Igor Julia Karl Laura Max Nora Owen
Paula Robert Sara Theo Una Vito Aaron Bella Cyrus Diana Elif Farid Grace Hiro Imani Joel Kiran Lila
Malik Naomi Orla Pedro Rafael Selma Tessa Wren Amara Boris Celia Daniel Esther Fiona Gustav
""".split()
LAST_NAMES = """
Olsen Garcia Tanaka Novak Singh Rossi Meyer Haddad Okafor Silva Kim Larsen Costa Weber Ahmed Lopez
Sato Petrov Mensah Dubois Jensen Moreau Ito Kowalski Patel Bianchi Fischer Nasser Adeyemi Santos
Park Berg Ferreira Schmidt Khan Torres Mori Ivanov Boateng Laurent Holm Marin Wang Horvat Rao Conti
Wagner Saleh Eze Ramos Choi Lund Pereira Keller Hussain Vega Endo Popov Owusu Martin Smith Brown
Green White Clark Baker Hill Reed Cook Wood Stone Young Hall Lake Field Marsh Frost Lane Page Ross
""".split()
CITIES = """
Oslo Lima Cairo Paris Rome Tokyo Berlin Madrid Lisbon Vienna Prague Dublin Athens Warsaw Helsinki
Stockholm Copenhagen Brussels Budapest Zurich Geneva Milan Naples Turin Seville Porto Lyon Nice
Hamburg Munich Cologne Leipzig Dresden Krakow Riga Vilnius Tallinn Minsk Kyiv Skopje Belgrade Zagreb
Ankara Izmir Beirut Amman Dubai Doha Muscat Tehran Baku Delhi Mumbai Pune Chennai Dhaka Karachi
Lahore Kabul Bangkok Hanoi Manila Jakarta Seoul Busan Osaka Kyoto Nagoya Beijing Shanghai Taipei
Sydney Perth Brisbane Auckland Wellington Nairobi Kampala Lagos Accra Dakar Tunis Rabat Algiers
Lusaka Harare Durban Toronto Montreal Vancouver Boston Chicago Denver Seattle Austin Dallas Miami
Houston Havana Bogota Quito Santiago Caracas Recife Cusco Bergen Malmo Utrecht Ghent Bath Leeds
""".split()
OBJECTS = """
lamp chair table desk shelf sofa bed mirror clock vase bowl plate cup mug fork spoon knife pan pot
kettle bottle jar basket box bag suitcase backpack wallet purse belt hat cap scarf glove coat jacket
shirt dress skirt sock shoe boot ring necklace bracelet watch book notebook pencil pen brush eraser
ruler stapler folder envelope stamp letter map poster painting candle blanket pillow towel soap comb
broom bucket ladder hammer saw drill wrench screw nail rope chain lock key door window curtain rug
bell drum guitar piano violin flute trumpet radio speaker camera phone laptop tablet keyboard mouse
printer screen cable battery charger bicycle scooter skateboard helmet tent stove torch compass
kite ball bat racket net puzzle doll robot train car boat plane balloon card coin button needle
thread ribbon umbrella fan heater fridge oven toaster blender mixer tray stool bench hammock globe
telescope microscope magnet sponge whistle lantern
""".split()
COLOURS = """
red blue green yellow orange purple pink brown black white grey silver golden violet crimson scarlet
turquoise teal navy cream beige amber ivory maroon olive lilac indigo coral copper bronze
""".split()
MATERIALS = """
wood wool glass steel paper cotton leather plastic silk stone clay iron copper rubber linen bamboo
marble velvet tin brass gold felt cork wax straw canvas denim concrete ceramic foam
""".split()
JOBS = """
baker doctor teacher nurse farmer pilot writer painter singer dancer lawyer judge chef waiter barber
tailor carpenter plumber welder miner sailor fisher gardener florist butcher librarian journalist
editor poet actor director photographer designer programmer scientist chemist biologist geologist
historian translator guide driver mechanic electrician builder roofer potter jeweller clerk cashier
banker dentist vet surgeon firefighter soldier guard postman cleaner manager
""".split()
ANIMALS = """
cat dog horse cow pig sheep goat hen duck goose turkey rabbit hamster mouse rat squirrel fox wolf
bear deer moose elk otter beaver badger hedgehog mole bat owl eagle hawk falcon crow raven robin
sparrow swan stork heron crane pigeon parrot penguin ostrich peacock frog toad newt snake lizard
turtle crocodile shark whale dolphin seal walrus crab lobster octopus squid salmon trout bee wasp
ant beetle moth spider snail worm lion tiger leopard zebra giraffe camel monkey gorilla panda koala
""".split()
FOODS = """
bread butter cheese milk cream yogurt rice pasta flour sugar salt pepper honey jam oats eggs beef
chicken fish soup salad pizza burger noodles beans lentils peas corn carrots potatoes onions garlic
tomatoes cucumbers spinach cabbage mushrooms pumpkin apples pears plums cherries grapes lemons limes
oranges bananas mangoes peaches figs dates walnuts almonds raisins cocoa coffee tea cinnamon ginger
basil parsley mint vanilla
""".split()
HOBBIES = """
chess rowing painting reading cooking baking hiking running swimming cycling skating skiing sailing
fishing gardening knitting sewing pottery drawing singing dancing yoga tennis football golf surfing
climbing camping photography astronomy
""".split()
ADJECTIVES = """
big small old new quiet bright heavy light soft round long short clean dusty warm cold tall narrow
gentle brave happy tired busy clever young pretty strange plain
""".split()
COUNTRIES = """
Norway Sweden Denmark Finland Iceland Germany France Spain Portugal Italy Greece Austria Hungary Poland
Turkey Egypt Kenya Ghana Nigeria Morocco India Nepal China Japan Vietnam Thailand Indonesia Australia
Canada Mexico Brazil Peru Chile Argentina Colombia
""".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = (
    "January February March April May June July August September October November December".split()
)
MADE_UP_SHARE = 0.1


def pseudo_word(rng: Random) -> str:
    """Return a pronounceable word that is in no list, such as "tavomel"."""
    syllables = [
        rng.choice("b c d f g h j k l m n p r s t v w z br dr gl kr pl st tr sh th".split())
        + rng.choice("a e i o u a e i o ea ai ou".split())
        for _ in range(rng.choice((2, 2, 3)))
    ]
    return "".join(syllables) + rng.choice(["", "", "l", "n", "r", "s", "m", "x", "nd", "sk"])


def pick(rng: Random, words: Sequence[str]) -> str:
    """Draw a word of the list or, one time in ten, a made-up one in the list's letter case."""
    if rng.random() >= MADE_UP_SHARE:
        return rng.choice(words)
    word = pseudo_word(rng)
    return word.capitalize() if words[0][0].isupper() else word


def name(rng: Random) -> str:
    """Return a first name."""
    return pick(rng, FIRST_NAMES)


def last_name(rng: Random) -> str:
    """Return a last name."""
    return pick(rng, LAST_NAMES)


def full_name(rng: Random) -> str:
    """Return a first and a last name."""
    return f"{name(rng)} {last_name(rng)}"


def city(rng: Random) -> str:
    """Return a city."""
    return pick(rng, CITIES)


def country(rng: Random) -> str:
    """Return a country."""
    return pick(rng, COUNTRIES)


def thing(rng: Random) -> str:
    """Return an object in the singular."""
    return pick(rng, OBJECTS)


def colour(rng: Random) -> str:
    """Return a colour."""
    return rng.choice(COLOURS)


def material(rng: Random) -> str:
    """Return a material."""
    return pick(rng, MATERIALS)


def job(rng: Random) -> str:
    """Return a job."""
    return pick(rng, JOBS)


def animal(rng: Random) -> str:
    """Return an animal."""
    return pick(rng, ANIMALS)


def food(rng: Random) -> str:
    """Return a food."""
    return pick(rng, FOODS)


def hobby(rng: Random) -> str:
    """Return a hobby."""
    return pick(rng, HOBBIES)


def distinct(rng: Random, words: Sequence[str], count: int) -> list[str]:
    """Return `count` different words of the list, some of them made up."""
    chosen: list[str] = []
    while len(chosen) < count:
        word = pick(rng, words)
        if word not in chosen:
            chosen.append(word)
    return chosen


def plural(word: str) -> str:
    """Return the plural of a regular noun."""
    if word.endswith(("s", "x", "sh", "ch")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    if word.endswith("fe"):
        return word[:-2] + "ves"
    if word.endswith("lf"):
        return word[:-1] + "ves"
    return {"mouse": "mice", "goose": "geese"}.get(word, word + "s")


def a(word: str) -> str:
    """Return the word after its article."""
    sounds_open = word[0].lower() in "aeiou" and not word.startswith(("user", "uni"))
    return f"{'an' if sounds_open else 'a'} {word}"


def joined(words: Sequence[str]) -> str:
    """Return "a, b and c"."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def spin(rng: Random, template: str) -> str:
    """Replace each `[a|b|c]`, innermost first, by one of its parts; `[a|]` is an optional part."""
    while "[" in template:
        template = re.sub(r"\[([^\[\]]*)\]", lambda m: rng.choice(m[1].split("|")), template)
    return re.sub(" +", " ", template).strip()


def ask(rng: Random, request: str) -> str:
    """Turn an imperative without a final stop into a plain, polite, casual or asking prompt."""
    roll = rng.random()
    casual = request[0].lower() + request[1:]
    if roll < 0.45:
        return request + "."
    if roll < 0.60:
        return request
    if roll < 0.70:
        return f"Please {casual}."
    if roll < 0.74:
        return f"{request}, please."
    if roll < 0.88:
        opener = rng.choice(
            ["Can you", "Could you", "Can you please", "Could you please", "Would you"]
        )
        return f"{opener} {casual}?"
    if roll < 0.91:
        return (
            rng.choice(["I need you to ", "I want you to ", "I would like you to "]) + casual + "."
        )
    return rng.choice(
        [casual, casual, f"please {casual}", f"can you {casual}?", f"{casual} please"]
    )


def ask_about(rng: Random, request: str, text: str) -> str:
    """Put the text that a request speaks of after it, in one of the usual ways."""
    asked = ask(rng, request)
    if asked.endswith("?"):
        return asked + rng.choice([" ", "\n", "\n\n"]) + text
    return asked.rstrip(".") + rng.choice([": ", ": ", ":\n", ":\n\n"]) + text
