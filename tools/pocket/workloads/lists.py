"""Open lists: any things of a kind, as many as the prompt asks for.

Items stand in alphabetical order: a small model that decodes greedily would else repeat its favourite.
"""

import re
from random import Random

from tools.pocket.example import Example

NAME = "list"

# Plural name in prompts -> items.
CATEGORIES: dict[str, str] = {
    "fruits": "apple banana cherry grape lemon lime mango melon orange papaya peach pear plum kiwi fig apricot pineapple strawberry blueberry raspberry",
    "vegetables": "carrot potato tomato onion pepper cabbage spinach broccoli pea bean leek pumpkin radish cucumber garlic celery beet turnip corn lettuce",
    "animals": "cat dog horse cow sheep goat pig lion tiger bear wolf fox rabbit deer mouse elephant monkey zebra giraffe camel",
    "birds": "robin sparrow crow owl eagle hawk swan duck goose parrot penguin pigeon gull heron stork finch wren raven dove falcon",
    "colors": "red blue green yellow orange purple pink brown black white gray silver gold teal maroon beige turquoise violet indigo cream",
    "sports": "tennis football golf hockey rugby cricket basketball volleyball swimming rowing skiing cycling boxing fencing judo archery surfing sailing running climbing",
    "tools": "hammer saw drill wrench pliers screwdriver chisel ruler level shovel rake axe ladder file clamp knife brush tape hoe crowbar",
    "instruments": "piano violin guitar flute drum trumpet harp cello clarinet oboe banjo organ tuba saxophone viola trombone accordion harmonica bass ukulele",
    "cities": "London Paris Berlin Madrid Rome Vienna Prague Oslo Lisbon Dublin Tokyo Seoul Cairo Lima Boston Chicago Toronto Sydney Delhi Athens",
    "countries": "France Germany Spain Italy Japan China India Brazil Canada Mexico Egypt Kenya Norway Sweden Peru Chile Greece Turkey Poland Portugal",
    "jobs": "teacher doctor nurse farmer pilot baker cook driver lawyer writer painter singer plumber dentist engineer gardener tailor waiter judge clerk",
    "drinks": "water tea coffee milk juice lemonade cocoa soda cider smoothie espresso milkshake punch broth tonic",
    "flowers": "rose tulip daisy lily orchid violet iris poppy sunflower lavender jasmine carnation daffodil peony marigold",
    "trees": "oak pine maple birch willow cedar elm ash beech palm fir spruce poplar walnut chestnut",
    "vehicles": "car bus train truck bicycle boat ship plane tram taxi van scooter helicopter tractor ferry",
    "clothes": "shirt coat hat scarf glove sock shoe dress skirt sweater jacket belt boot tie vest",
    "school subjects": "math history physics chemistry biology music art geography English French economics drama philosophy latin sports",
    "kitchen items": "pan pot bowl plate cup fork spoon knife kettle oven toaster whisk grater tray jug",
    "pieces of furniture": "chair table bed desk sofa shelf stool bench dresser wardrobe cabinet lamp armchair bookcase mirror",
    "hobbies": "reading painting chess knitting gardening fishing cooking dancing hiking photography singing baking sewing drawing running",
    "names for a cat": "Luna Milo Simba Nala Felix Oscar Misty Shadow Ginger Tiger Smokey Pepper Coco Daisy Max",
    "names for a dog": "Rex Bella Buddy Rocky Daisy Max Charlie Bruno Molly Duke Toby Sadie Scout Lucky Bear",
    "weather words": "sunny rainy windy cloudy foggy snowy stormy hot cold mild humid icy dry warm cool",
    "body parts": "head arm leg hand foot nose ear eye knee elbow shoulder neck back finger toe",
    "metals": "iron copper silver gold tin lead zinc nickel aluminum titanium platinum cobalt mercury chromium tungsten",
    "planets": "Mercury Venus Earth Mars Jupiter Saturn Uranus Neptune",
    "languages": "English French German Spanish Italian Japanese Chinese Hindi Arabic Russian Dutch Swedish Greek Turkish Korean",
    "programming languages": "Python Java C Rust Go Ruby Swift Kotlin Haskell Scala Perl Julia Lua Dart Erlang",
}  # fmt: skip
PHRASES: dict[str, str] = {
    "things to take to the beach": "a towel|sun cream|a hat|water|a book|a ball|an umbrella|sunglasses|snacks|a camera|a mat|sandals",
    "ideas for a birthday party": "a treasure hunt|a cake contest|a movie night|a picnic|a costume party|a garden party|a quiz|a dance|a magic show|a boat trip",
    "things to do on a rainy day": "read a book|bake bread|play chess|paint a picture|watch a film|write a letter|clean a drawer|learn a song|build a fort|call a friend",
    "ways to save energy": "turn off the lights|use a thick curtain|wash with cold water|walk short trips|dry clothes outside|lower the heat|cook with a lid|unplug chargers",
    "ideas for dinner": "tomato soup|rice and beans|fried noodles|baked fish|vegetable curry|pasta with garlic|potato salad|roast chicken|an omelet|stuffed peppers",
    "gift ideas": "a book|a plant|a scarf|a board game|a box of tea|a photo album|a puzzle|a candle|a mug|a notebook",
    "things to pack for a trip": "a passport|socks|a charger|a toothbrush|a map|a jacket|medicine|a book|shoes|a bottle",
    "tips for learning": "sleep well|take short breaks|ask questions|write by hand|explain it to a friend|practice daily|start early|test yourself",
    "ideas for a weekend": "a hike|a museum visit|a long breakfast|a bike tour|a concert|a day at the lake|a board game night|a market visit",
    "topics for a talk": "space travel|the history of tea|city trees|robots|deep sea life|old maps|music and memory|bees|bridges|sleep",
}  # fmt: skip
COUNTS = {3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}
ASKS = (
    "Name {n} {what}", "List {n} {what}", "Give me {n} {what}", "Write a list of {n} {what}",
    "Please list {n} {what}", "Can you name {n} {what}?", "What are {n} {what}?", "Suggest {n} {what}",
    "Tell me {n} {what}", "I need {n} {what}", "Could you give me {n} {what}?", "Write down {n} {what}",
    "Make a list of {n} {what}", "Show me {n} {what}", "Think of {n} {what}",
)  # fmt: skip
OPEN_ASKS = (
    "Name some {what}", "List some {what}", "Give me some {what}", "Make a list of {what}",
    "What are some {what}?", "Can you suggest some {what}?", "Please list a few {what}", "I need {what}",
    "Write a list of {what}",
)  # fmt: skip


def sample(rng: Random) -> Example:
    """Draw a request for a list and a list of that many different items."""
    what, items = _category(rng)
    count = min(rng.choice(tuple(COUNTS)), len(items))
    if rng.random() < 0.25:
        count, ask = 5, rng.choice(OPEN_ASKS).format(what=what)
    else:
        n = COUNTS[count] if rng.random() < 0.5 else str(count)
        ask = rng.choice(ASKS).format(n=n, what=what)
    numbered = rng.random() < 0.25
    if numbered:
        question = ask.endswith("?")
        ask = ask.rstrip("?") + rng.choice(
            (" as a numbered list", ", numbered", " in a numbered list")
        )
        ask += "?" if question else ""
    if not ask.endswith("?"):
        ask += rng.choice((".", ".", "", "!"))
    if rng.random() < 0.25:
        ask = ask[0].lower() + ask[1:]
    chosen = sorted(rng.sample(items, count), key=str.casefold)
    lines = [f"{i}. {item}" if numbered else f"- {item}" for i, item in enumerate(chosen, 1)]
    return Example(NAME, ask, "\n".join(lines), {"count": count, "numbered": numbered})


def grade(example: Example, text: str) -> dict[str, bool]:
    """A list has the number of lines that was asked for, each marked, none twice."""
    lines = text.strip().splitlines()
    mark = r"\d+\. \S" if example.spec["numbered"] else r"- \S"
    items = [re.sub(r"^(\d+\.|-) ", "", line) for line in lines]
    return {
        "count": len(lines) == example.spec["count"]
        and all(re.match(mark, line) for line in lines),
        "distinct": len(set(items)) == len(items),
    }


def _category(rng: Random) -> tuple[str, list[str]]:
    what = rng.choice((*CATEGORIES, *PHRASES))
    return what, CATEGORIES[what].split() if what in CATEGORIES else PHRASES[what].split("|")
