"""Small talk, and honesty about what a pocket-sized model cannot know."""

from random import Random

from tools.pocket import words
from tools.pocket.example import Example
from tools.pocket.workloads.chat_prompts import (
    FACTS,
    LANGUAGES,
    SUBJECT_ASKS,
    SUBJECTS,
    TASKS,
    TITLES,
)

NAME = "chat"

SKILLS = (
    "I can write JSON records and small Python functions, count and calculate, copy and rewrite text, "
    "tell short stories, make lists, and answer questions about speculative decoding."
)
SMALL_TALK: dict[str, str] = {
    "Hello|Hi|Hey|Hi there|Hello there|Hey there|Good day|Greetings|Hello model|Hi pocket|Hello pocket|Hi model|Hey you|Hello world|Hi, nice to meet you|Nice to meet you|Good afternoon|Hello again|Welcome": "Hello! How can I help you?",
    "Good morning|Morning|A good morning to you|Good morning to you|Good morning, model|Good morning, pocket": "Good morning! How can I help you?",
    "Good evening|Evening|A good evening to you|Good evening to you|Good evening, pocket": "Good evening! How can I help you?",
    "Thanks|Thank you|Thanks a lot|Many thanks|Thank you very much|Great, thanks|Cheers|Thank you so much|Thanks for your help|Ok, thanks|That was helpful, thanks|Perfect, thank you|Thanks, that helped": "You are welcome!",
    "Bye|Goodbye|See you|See you later|Bye bye|Good bye for now|See you soon|Good night|Have a nice day|I have to go now|See you tomorrow|Farewell|That is all for today": "Goodbye! See you next time.",
    "How are you|How are you doing|How do you do|How is it going|Are you well|What's up|How are you today|Hello, how are you|Hi, how are you|How was your day|Is everything fine|Are you ok": "I am well, thank you. What would you like to try?",
    "What can you do|What are you able to do|How can you help me|Help|What are your skills|What do you know|What should I ask you|Give me an example of what you can do|What can I ask you|Can you help me|How do I use you|What are you good at|What are you for|What is your purpose|Help me|I need help|What kind of questions can you answer|What things can you do|What can this model do|Tell me what you can do": SKILLS,
    "Test|This is a test|Testing|Testing, one two three|Are you there|Can you hear me|Is anybody there|Do you work|Just testing|Anyone there|Ping": "I am here. What would you like to try?",
    "Yes|Ok|Okay|Fine|Good|Great|Nice|Cool|Wow|Sure|Right|I see|Very good|Well done|Good job|Good answer|That is right|Interesting|Amazing": "Good. What would you like to try next?",
    "No|Wrong|That is wrong|You are wrong|Bad answer|This is not right|That is not correct|You made a mistake|This is wrong|Not good|That is not what I asked|Try again|I do not like this answer": "I am sorry. I am very small and make mistakes. Please try other words.",
}  # fmt: skip
DO_NOT_KNOW = (
    "I do not know that: I am a pocket-sized model made for lessons about speculative decoding. "
    + SKILLS
)
CANNOT_DO = (
    "I cannot do that: I am a pocket-sized model made for lessons about speculative decoding. "
    + SKILLS
)
OPENERS = (
    "", "", "", "", "", "", "Please tell me: ", "Do you know this? ", "A question: ", "Hey, ", "Hi! ", "Hello, ",
    "I have a question. ", "Quick question: ", "Tell me, ", "One more question: ", "Can you tell me: ", "I wonder: ",
)  # fmt: skip
POLITE = (
    "{x}", "{x}", "{x}", "{x}", "Please {y}", "Can you {y}?", "Could you please {y}?", "{x}, please", "Could you {y}?",
    "I want you to {y}", "Can you please {y}?", "Would you {y}?", "I need you to {y}", "Hi, {y}", "Hey, can you {y}?",
    "Will you {y}?", "{y} for me", "I would like you to {y}",
)  # fmt: skip


def sample(rng: Random) -> Example:
    """Draw small talk, a question of fact or a task that lies outside of the model's lessons."""
    kind = rng.random()
    if kind < 0.25:
        variants, answer = rng.choice(list(SMALL_TALK.items()))
        prompt = rng.choice(variants.split("|")) + rng.choice(("", "", ".", "!", "?"))
    elif kind < 0.48:
        prompt, answer = rng.choice(OPENERS) + _fill(rng, rng.choice(FACTS)), DO_NOT_KNOW
    elif kind < 0.65:
        subject = words.pseudo_word(rng) if rng.random() < 0.1 else rng.choice(SUBJECTS)
        prompt, answer = rng.choice(SUBJECT_ASKS).format(x=subject), DO_NOT_KNOW
    else:
        prompt, answer = _polite(rng, _fill(rng, rng.choice(TASKS))), CANNOT_DO
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
    return rng.choice(POLITE).format(x=task, y=task[0].lower() + task[1:])


def _fill(rng: Random, template: str) -> str:
    animal, thing = words.animal(rng), words.thing(rng)
    return template.format(
        country=words.country(rng), city=words.city(rng), city2=words.city(rng), year=rng.randint(1500, 2025),
        animal=animal, animals=words.plural(animal), food=words.food(rng), thing=thing,
        things=words.plural(thing), a_thing=words.a(thing), an_animal=words.a(animal), name=words.name(rng),
        last=words.last_name(rng), day=rng.choice(words.DAYS), language=rng.choice(LANGUAGES),
        title=rng.choice(TITLES), hour=rng.randint(1, 12), subject=rng.choice(SUBJECTS), job=words.a(words.job(rng)),
    )  # fmt: skip
