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
    "insects": "ant bee beetle butterfly moth wasp fly mosquito cricket dragonfly ladybug grasshopper termite flea firefly",
    "sea animals": "shark whale dolphin octopus squid crab lobster seal tuna salmon shrimp starfish jellyfish turtle oyster",
    "farm animals": "cow pig sheep goat horse hen duck goose donkey turkey rabbit dog cat llama",
    "pets": "cat dog rabbit hamster goldfish parrot turtle mouse canary gecko ferret pony",
    "shapes": "circle square triangle rectangle oval star cube sphere cone cylinder pyramid hexagon diamond spiral",
    "rivers": "Nile Amazon Danube Rhine Thames Seine Volga Ganges Mekong Congo Mississippi Loire Elbe Yukon",
    "capital cities": "London Paris Berlin Madrid Rome Vienna Prague Oslo Lisbon Dublin Tokyo Seoul Cairo Lima Athens Delhi Ottawa",
    "desserts": "cake pie pudding ice-cream cookie brownie tiramisu waffle pancake custard sorbet muffin donut",
    "spices": "pepper cinnamon ginger clove nutmeg cumin paprika turmeric saffron cardamom anise coriander mustard",
    "herbs": "basil mint parsley thyme oregano rosemary sage dill chives tarragon lavender coriander",
    "breakfast foods": "bread eggs toast oatmeal yogurt cereal pancakes bacon fruit cheese honey jam muffins",
    "snacks": "nuts popcorn crackers pretzels raisins chips cookies apples carrots cheese yogurt olives",
    "feelings": "joy anger fear love hope pride shame envy relief boredom surprise sadness calm trust",
    "toys": "doll ball kite puzzle robot train car blocks yo-yo drum teddy marbles rocket boat",
    "materials": "wood glass steel paper cotton leather plastic silk stone clay wool rubber linen concrete",
    "gemstones": "diamond ruby emerald sapphire opal topaz amethyst garnet pearl jade turquoise amber",
    "dances": "waltz tango salsa ballet samba polka rumba swing flamenco foxtrot tap jive",
    "board games": "chess checkers go backgammon Monopoly Scrabble Clue Risk ludo dominoes mahjong",
    "rooms in a house": "kitchen bedroom bathroom attic cellar hall pantry office garage laundry nursery library",
    "boy names": "Adam Ben Carl David Erik Frank George Henry Ivan Jack Leo Max Noah Oscar Paul Tom",
    "girl names": "Anna Bella Clara Diana Emma Flora Grace Helen Iris Julia Kate Laura Maria Nora Olive Rosa",
    "names for a robot": "Bolt Chip Gizmo Orbit Pixel Rusty Sparky Turbo Vector Widget Nova Beep Cosmo Atlas",
    "names for a boat": "Aurora Breeze Calypso Freedom Horizon Neptune Odyssey Pelican Serenity Spirit Triton Voyager",
    "office items": "pen pencil paper stapler folder ruler scissors tape eraser envelope notebook calendar printer lamp",
    "buildings": "house school church hospital library museum hotel castle factory barn station bank theater temple",
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
    "things to see in a city": "a museum|the old town|a cathedral|a park|the market|a bridge|the harbor|a castle|the theater|the city hall|a tower",
    "things to do in summer": "swim in a lake|eat ice cream|sleep in a tent|ride a bike|plant tomatoes|watch the stars|have a picnic|pick berries|sail a boat|visit the sea",
    "things to do in winter": "build a snowman|drink cocoa|go skating|ride a sled|knit a scarf|bake cookies|feed the birds|read by the fire|ski down a hill",
    "healthy habits": "sleep eight hours|drink water|eat vegetables|walk every day|stretch in the morning|eat slowly|spend time outside|brush your teeth|take breaks",
    "ways to relax": "take a warm bath|listen to music|read a novel|walk in the woods|drink tea|breathe slowly|draw something|take a nap|pet a cat",
    "ways to save money": "cook at home|make a budget|buy used things|compare prices|walk or cycle|repair clothes|cancel what you do not use|borrow books|grow herbs",
    "ideas for lunch": "a cheese sandwich|lentil soup|a green salad|rice with eggs|a bean wrap|leftover pasta|a baked potato|tomato toast|noodle soup",
    "ideas for breakfast": "oatmeal with berries|toast and jam|fried eggs|yogurt with nuts|pancakes|fruit salad|cheese and bread|a smoothie|rice porridge",
    "story ideas": "a lost key|a talking river|a town without clocks|a shy dragon|the last train|a secret garden|two rival bakers|a map of dreams|a robot in school",
    "book topics": "the deep sea|life in a castle|famous bridges|the story of bread|a journey by train|animals at night|the first computers|mountain weather|lost cities",
    "things in a kitchen": "a stove|a fridge|a sink|a table|pots and pans|knives|plates|a kettle|a towel|a trash can|spices",
    "things in a classroom": "a blackboard|desks|chairs|books|a map|a clock|pencils|a globe|a bookshelf|a computer|posters",
    "things in a garden": "a bench|flowers|a fence|a pond|a fruit tree|herbs|a path|a birdhouse|a shed|a hedge|grass",
    "things that are round": "a ball|a coin|a wheel|the moon|a plate|a ring|an orange|a button|a clock|a marble|a globe",
    "things that are cold": "ice|snow|a freezer|winter wind|ice cream|a mountain lake|frost|hail|the north pole|cold tea",
    "things that fly": "a bird|a plane|a kite|a bee|a rocket|a bat|a balloon|a drone|a butterfly|a helicopter",
    "things you can read": "a book|a letter|a map|a menu|a newspaper|a poem|a recipe|a sign|a magazine|a diary",
    "items for a picnic": "a blanket|bread|cheese|fruit|lemonade|plates|a knife|napkins|a basket|cookies|a thermos",
    "items for a camping trip": "a tent|a sleeping bag|a lamp|matches|a rope|a map|a knife|warm clothes|a pot|water|a first aid kit",
    "party games": "charades|musical chairs|hide and seek|bingo|a quiz|twenty questions|a sack race|a treasure hunt|limbo",
    "ice cream flavors": "vanilla|chocolate|strawberry|lemon|mint|coffee|pistachio|mango|caramel|hazelnut|coconut|cherry",
    "pizza toppings": "mushrooms|olives|onions|peppers|ham|tomatoes|spinach|pineapple|corn|basil|extra cheese|tuna",
    "reasons to learn a language": "to travel|to meet people|to read books|to find a job|to train your memory|to watch films|to write letters|to understand songs",
    "good questions for a friend": "What made you laugh today?|Which song do you love?|Where would you like to live?|What did you dream?|Who taught you the most?|What are you proud of?|Which book would you read twice?|What do you want to learn?",
    "new year goals": "read more books|learn to cook|walk every day|call old friends|save money|sleep earlier|learn a language|waste less food|keep a diary",
}  # fmt: skip
COUNTS = {3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}
ASKS = (
    "Name {n} {what}", "List {n} {what}", "Give me {n} {what}", "Write a list of {n} {what}",
    "Please list {n} {what}", "Can you name {n} {what}?", "What are {n} {what}?", "Suggest {n} {what}",
    "Tell me {n} {what}", "I need {n} {what}", "Could you give me {n} {what}?", "Write down {n} {what}",
    "Make a list of {n} {what}", "Show me {n} {what}", "Think of {n} {what}", "Please name {n} {what}",
    "Can you list {n} {what}?", "Could you name {n} {what}, please?", "Write {n} {what}", "Create a list of {n} {what}",
    "I am looking for {n} {what}", "Please give me {n} {what}", "Can you give me {n} {what}?", "{n} {what}, please",
    "Can you think of {n} {what}?", "Help me find {n} {what}", "What would be {n} {what}?", "Give {n} {what}",
    "Come up with {n} {what}", "Please write down {n} different {what}", "Name any {n} {what}", "{n} {what}",
    "Recommend {n} {what}", "Can you suggest {n} {what}?", "Give me a list of {n} {what}", "List {n} different {what}",
)  # fmt: skip
OPEN_ASKS = (
    "Name some {what}", "List some {what}", "Give me some {what}", "Make a list of {what}",
    "What are some {what}?", "Can you suggest some {what}?", "Please list a few {what}", "I need {what}",
    "Write a list of {what}", "Give me {what}", "What are good {what}?", "List {what}", "Tell me some {what}",
    "Please suggest some {what}", "Can you name some {what}?", "Can you give me some {what}?", "Do you know some {what}?",
    "I am looking for {what}", "Some {what}, please", "Show me a list of {what}", "Suggest {what}", "Recommend some {what}",
    "Can you make a list of {what}?", "Please name a few {what}", "I need a list of {what}", "A list of {what}",
)  # fmt: skip

NUMBERED = (
    " as a numbered list", ", numbered", " in a numbered list", " with numbers", ", number them",
    " and number them", " in a list with numbers",
)  # fmt: skip
BULLETED = (
    " as bullet points",
    " as a bulleted list",
    " in bullet points",
    " as a list",
    " with dashes",
)


def sample(rng: Random) -> Example:
    """Draw a request for a list and a list of that many different items."""
    what, items = _category(rng)
    count = min(rng.choice(tuple(COUNTS)), len(items))
    if rng.random() < 0.25:
        count, ask = 5, rng.choice(OPEN_ASKS).format(what=what)
    else:
        n = COUNTS[count] if rng.random() < 0.5 else str(count)
        ask = rng.choice(ASKS).format(n=n, what=what)
        ask = ask[0].upper() + ask[1:]
    # Numbers are what most requests get: they let a small model see how many items it has written.
    numbered = rng.random() < 0.8
    marks, often = (NUMBERED, 0.2) if numbered else (BULLETED, 1.0)
    if rng.random() < often:
        question = ask.endswith("?")
        ask = ask.rstrip("?") + rng.choice(marks) + ("?" if question else "")
    if rng.random() < 0.06 and not ask.startswith(("Please", "Can", "Could")):
        ask = rng.choice(("Hi, ", "Hello, ", "Quick: ", "Please, ")) + ask[0].lower() + ask[1:]
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
