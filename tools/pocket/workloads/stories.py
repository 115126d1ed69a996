"""Short stories from a grammar with many near-equal choices: coherent, but hard to guess."""

from random import Random

from tools.pocket import words
from tools.pocket.example import Example

NAME = "story"

TRAITS = (
    "brave shy clever lazy curious gentle grumpy cheerful tiny tall quiet proud lonely patient "
    "hungry sleepy honest careless polite stubborn playful wise young old clumsy"
).split()
PLACES = (
    "a green valley|an old mill|a quiet harbor|a stone tower|a wide meadow|a busy market|a dark forest|"
    "a small island|a snowy hill|a warm kitchen|a dusty attic|a long river|a red barn|a hidden cave|"
    "a sunny garden|a narrow street|a foggy swamp|a glass house|a high cliff|a sleepy village|"
    "a ruined castle|a railway station|a frozen lake|a bamboo grove|a lighthouse"
).split("|")
WISHES = (
    "see the sea|learn to dance|find a friend|bake a perfect cake|fly over the clouds|build a boat|"
    "hear a new song|paint the moon|win the spring race|grow a giant pumpkin|read every book|"
    "sleep under the stars|cross the mountains|catch a falling star|open a tea shop|write a letter|"
    "play the violin|plant an orchard|visit the king|solve a riddle|keep a secret|swim like a fish|"
    "repair the old clock|sing at the fair|collect silver shells"
).split("|")
PROBLEMS = (
    "a storm broke the bridge|the map got wet|a thief took the lantern|the road was full of mud|"
    "the key fell into the well|nobody knew the way|the wind was far too strong|the wheel came off|"
    "the river rose overnight|a wall blocked the path|the rope was too short|the fire went out|"
    "the bread was all gone|the boat had a leak|the gate was locked|snow covered the trail|"
    "the bell would not ring|the lamp ran out of oil|the night was too dark|a giant laughed and said no|"
    "the paint dried up|the tent flew away|the clock stopped at noon|the letter was lost|the well ran dry"
).split("|")
HELPERS = (
    "an owl|a fisherman|a kind baker|two mice|a lost soldier|a tall girl|an old sailor|a young farmer|"
    "a friendly ghost|a blue dragon|a traveling singer|three ants|a retired queen|a quick rabbit|"
    "a quiet gardener|a goose|a toy maker|a wandering cook|a blind poet|a little robot|a shepherd|"
    "a talking tree|a mail carrier|a white horse|a painter"
).split("|")
GIFTS = (
    "a silver whistle|a ball of string|a warm coat|a wooden spoon|a bag of seeds|a bright candle|"
    "a pair of boots|a jar of honey|a paper kite|a small drum|a golden button|a good idea|a long ladder|"
    "a basket of plums|a sharp pencil|a magic pebble|a bucket of nails|a loaf of bread|a soft pillow|"
    "a glass bottle|a strange coin|an empty box|a woolen hat|a broken compass|a red umbrella"
).split("|")
LESSONS = (
    "small steps go far|friends make hard work light|asking is braver than hiding|patience pays|"
    "every road has a turn|sharing makes a feast|a mistake can be a gift|the best things take time|"
    "kind words open doors|courage can be quiet|home is where the kettle sings|nothing beats a good plan|"
    "laughter helps more than anger|listening is half of learning|luck likes those who try|"
    "old tools can do new work|it is fine to start again|even giants need help|the moon can wait|"
    "good soup needs many hands"
).split("|")
FEELINGS = (
    "happy proud tired calm surprised grateful nervous excited hopeful amazed restless thoughtful "
    "relieved homesick content"
).split()
TIMES = (
    "One morning|One evening|Long ago|Last winter|On a rainy day|One summer|In early spring|"
    "On the first day of autumn|At midnight|One Sunday|During the harvest|Many years ago|"
    "On a very hot afternoon|Before sunrise|After the great flood"
).split("|")
OPENINGS = (
    "{time}, a {trait} {hero}{called} lived near {place}.",
    "There was once a {trait} {hero}{called} who lived by {place}.",
    "Near {place} there lived a {trait} {hero}{called}.",
    "{time}, people at {place} met a {trait} {hero}{called}.",
    "In a house close to {place}, a {trait} {hero}{called} woke up.",
)
WANTS = (
    "{It} wanted to {wish}.", "All {it} ever dreamed of was to {wish}.",
    "More than anything, {it} hoped to {wish}.", "\"One day I will {wish},\" {it} said.",
    "{It} had promised to {wish}, and felt {feeling}.",
)  # fmt: skip
TROUBLES = (
    "But {problem}.", "Sadly, {problem}.", "Then {problem}, and {it} felt {feeling}.",
    "Just then {problem}.", "{It} set off at once, but {problem}.",
)  # fmt: skip
AIDS = (
    "{Helper} came by with {gift}.", "Soon {helper} stopped and offered {gift}.",
    "\"Take {gift},\" said {helper}.", "Behind a bush sat {helper}, holding {gift}.",
    "{It} met {helper}, who lent {them} {gift}.", "{Helper} laughed, then shared {gift}.",
)  # fmt: skip
MIDDLES = (
    "They worked until the stars came out.", "It took {number} days and {number2} tries.",
    "The {hero} tried again, this time with a {trait2} smile.", "They sang all the way to {place2}.",
    "Nobody at {place2} could believe it.", "With {gift2} and some luck, the plan worked.",
    "First it went wrong, then it went well.", "A {trait2} crowd gathered at {place2}.",
)  # fmt: skip
ENDS = (
    "In the end, the {hero} did {wish}, and was {feeling2}.",
    "So the {hero} learned that {lesson}.",
    "That night, {name} fell asleep, {feeling2} and warm.",
    "From then on, {name} told everyone that {lesson}.",
    "And {name} never forgot {the_helper}.",
)  # fmt: skip
ASKS = (
    "Write a {short}story about {a}{extra}{end}", "Tell me a {short}story about {a}{extra}{end}",
    "Please write a {short}story about {a}{extra}{end}", "Can you tell a {short}story about {a}{extra}?",
    "I would like a {short}story about {a}{extra}{end}", "write a {short}story about {a}{extra}",
    "Make up a {short}story about {a}{extra}{end}", "Give me a {short}tale of {a}{extra}{end}",
    "A {short}story about {a}{extra}, please{end}", "Could you write a {short}story with {a}{extra}?",
    "tell me a {short}story about {a}{extra}", "Invent a {short}story on {a}{extra}{end}",
    "Tell a {short}bedtime story about {a}{extra}{end}", "Once upon a time there was {a}{extra}{end}",
    "I want to hear a {short}story about {a}{extra}{end}", "Write me a {short}story about {a}{extra}{end}",
)  # fmt: skip


def sample(rng: Random) -> Example:
    """Draw a request for a story and a story that keeps its hero and name."""
    hero = _hero(rng)
    named = rng.random() < 0.5
    name = words.name(rng).split()[0] if named else f"the {hero}"
    trait = rng.choice(TRAITS)
    shown_trait = rng.random() < 0.3
    described = f"{trait} {hero}" if shown_trait else hero
    place = rng.choice(PLACES)
    extra = (
        f" named {name}" if named and rng.random() < 0.7 else (f" called {name}" if named else "")
    )
    if rng.random() < 0.2:
        extra += f" near {place}"
    prompt = rng.choice(ASKS).format(
        short=rng.choice(("", "short ", "short ", "very short ", "little ")),
        a=words.a(described), extra=extra, end=rng.choice((".", ".", "", "!")),
    )  # fmt: skip
    answer = _story(rng, hero, name, named, trait, place)
    return Example(NAME, prompt, answer, {"hero": hero})


def grade(example: Example, text: str) -> dict[str, bool]:
    """A story ends with a full stop and is about its hero."""
    stripped = text.strip()
    return {
        "complete": stripped.endswith((".", "!", '"')),
        "on_topic": example.spec["hero"].split()[-1] in stripped,
    }


def _hero(rng: Random) -> str:
    return rng.choice((words.animal, words.animal, words.job, words.thing))(rng)


def _story(rng: Random, hero: str, name: str, named: bool, trait: str, place: str) -> str:
    helper, gift, gift2 = rng.choice(HELPERS), *rng.sample(GIFTS, 2)
    slots = {
        "time": rng.choice(TIMES), "trait": trait, "hero": hero,
        "called": f" called {name}" if named else "", "place": place,
        "place2": rng.choice(PLACES), "it": name, "It": name[0].upper() + name[1:],
        "them": rng.choice((name, f"the {hero}")), "wish": rng.choice(WISHES),
        "feeling": rng.choice(FEELINGS), "feeling2": rng.choice(FEELINGS),
        "problem": rng.choice(PROBLEMS), "helper": helper, "Helper": helper[0].upper() + helper[1:],
        "the_helper": "the " + helper.removeprefix("a ").removeprefix("an "),
        "gift": gift, "gift2": gift2, "trait2": rng.choice(TRAITS), "lesson": rng.choice(LESSONS),
        "number": rng.randint(2, 9), "number2": rng.randint(10, 40), "name": name,
    }  # fmt: skip
    parts = [rng.choice(OPENINGS), rng.choice(WANTS), rng.choice(TROUBLES), rng.choice(AIDS)]
    parts += rng.sample(MIDDLES, rng.randint(0, 2))
    parts.append(rng.choice(ENDS))
    sentences = [part.format(**slots) for part in parts]
    text = " ".join(s[0].upper() + s[1:] for s in sentences)
    # "a" before a vowel sound: the traits that start with a vowel.
    for word in (*TRAITS, hero):
        if word[0] in "aeiou":
            text = text.replace(f" a {word}", f" an {word}").replace(f"A {word}", f"An {word}")
    return text
