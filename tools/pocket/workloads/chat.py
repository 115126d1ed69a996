"""Small talk, and honesty about what a pocket-sized model cannot know."""

from random import Random

from tools.pocket import words
from tools.pocket.example import Example, table

NAME = "chat"
TALK = table("chat")
SMALL_TALK = TALK["small_talk"]
WHO = "I am a pocket-sized model made for lessons about speculative decoding. " + TALK["skills"]
DO_NOT_KNOW = f"I do not know that: {WHO}"
CANNOT_DO = f"I cannot do that: {WHO}"


def sample(rng: Random) -> Example:
    """Draw small talk, a question of fact or a task that lies outside of the model's lessons."""
    kind = rng.random()
    if kind < 0.25:
        talk = rng.choice(SMALL_TALK)
        prompt, answer = (
            rng.choice(talk["said"]) + rng.choice(("", "", ".", "!", "?")),
            talk["answer"],
        )
    elif kind < 0.48:
        prompt, answer = (
            rng.choice(TALK["openers"]) + _fill(rng, rng.choice(TALK["facts"])),
            DO_NOT_KNOW,
        )
    elif kind < 0.65:
        subject = words.pseudo_word(rng) if rng.random() < 0.1 else rng.choice(TALK["subjects"])
        prompt, answer = rng.choice(TALK["subject_asks"]).format(x=subject), DO_NOT_KNOW
    else:
        prompt, answer = _polite(rng, _fill(rng, rng.choice(TALK["tasks"]))), CANNOT_DO
    if rng.random() < 0.25:
        prompt = prompt.lower()
    if rng.random() < 0.2:
        prompt = prompt.rstrip("?.!")
    return Example(NAME, prompt[0].upper() + prompt[1:] if rng.random() < 0.6 else prompt, answer)


def grade(example: Example, text: str) -> dict[str, bool]:
    """There is one right answer for each kind of talk."""
    return {"right": text.strip() == example.answer}


def _polite(rng: Random, task: str) -> str:
    if task.endswith("?") or task.startswith(("I ", "My ")):
        return task
    return rng.choice(TALK["polite"]).format(x=task, y=task[0].lower() + task[1:])


def _fill(rng: Random, template: str) -> str:
    animal, thing = words.animal(rng), words.thing(rng)
    return template.format(
        country=words.country(rng), city=words.city(rng), city2=words.city(rng), year=rng.randint(1500, 2025),
        animal=animal, animals=words.plural(animal), food=words.food(rng), thing=thing,
        things=words.plural(thing), a_thing=words.a(thing), an_animal=words.a(animal), name=words.name(rng),
        last=words.last_name(rng), day=rng.choice(words.DAYS), language=rng.choice(TALK["languages"]),
        title=rng.choice(TALK["titles"]), hour=rng.randint(1, 12), subject=rng.choice(TALK["subjects"]), job=words.a(words.job(rng)),
    )  # fmt: skip
