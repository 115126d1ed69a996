"""Small talk, and honesty about what a pocket-sized model cannot know."""

from random import Random

from tools.pocket import words
from tools.pocket.example import Example

NAME = "chat"

SKILLS = (
    "I can write JSON records and small Python functions, count and calculate, copy and rewrite text, "
    "tell short stories, make lists, and answer questions about speculative decoding."
)
SMALL_TALK: dict[str, str] = {
    "Hello|Hi|Hey|Hi there|Hello there|Hey there|Good day|Greetings|Hello model|Hi pocket": "Hello! How can I help you?",
    "Good morning|Morning|A good morning to you": "Good morning! How can I help you?",
    "Good evening|Good night|Evening": "Good evening! How can I help you?",
    "Thanks|Thank you|Thanks a lot|Many thanks|Thank you very much|Great, thanks|Cheers": "You are welcome!",
    "Bye|Goodbye|See you|See you later|Bye bye|Good bye for now": "Goodbye! See you next time.",
    "How are you|How are you doing|How do you do|How is it going|Are you well|What's up": "I am well, thank you. What would you like to try?",
    "What can you do|What are you able to do|How can you help me|Help|What are your skills|What do you know|What should I ask you|Give me an example of what you can do": SKILLS,
    "Test|This is a test|Testing|Testing, one two three|Are you there|Can you hear me": "I am here. What would you like to try?",
    "Yes|Ok|Okay|Fine|Good|Great|Nice|Cool|Wow": "Good. What would you like to try next?",
    "No|Wrong|That is wrong|You are wrong|Bad answer|This is not right": "I am sorry. I am very small and make mistakes. Please try other words.",
}  # fmt: skip
FACTS = (
    "What is the capital of {country}?|Who is the president of {country}?|How many people live in {city}?|"
    "When was {city} founded?|What is the weather in {city} today?|Who won the world cup in {year}?|"
    "How tall is a {animal}?|What do {animal}s eat?|Why is the sky blue?|Who wrote {title}?|"
    "How far is it from {city} to {city2}?|What language do people speak in {country}?|"
    "What happened in {year}?|How old is {name} {last}?|What is the best restaurant in {city}?|"
    "Is {food} healthy?|How many calories are in {food}?|What time is it in {city}?|Who invented the {thing}?|"
    "What is the meaning of life?|Who was {name} {last}?|Where is {city}?|How does a {thing} work?|"
    "What is the price of a {thing}?|When does the train to {city} leave?|Do {animal}s sleep?|"
    "Which team will win on {day}?|What is {title} about?|Where can I buy a {thing}?|Explain quantum physics|"
    "What is photosynthesis?|Who discovered gravity?|Is there life on Mars?|What is the speed of light?|"
    "Explain the history of {country}|Tell me about {city}|Tell me about {animal}s|What is a black hole?|"
    "How do I get from {city} to {city2}?|What is the largest {animal}?|Why do {animal}s sing?"
).split("|")
TASKS = (
    "Translate {food} to {language}|Write a poem about {thing}s|How do I cook {food}?|Sing a song about {animal}s|"
    "Plan a trip to {city}|Write an email to {name}|Recommend a film|Book a table in {city}|"
    "Give me a recipe for {food}|Write a poem|Draw a {animal}|Translate this to {language}: the {animal} is big|"
    "Call {name}|Set an alarm for {hour}|Play some music|Open the door|Write a letter to {name} {last}|"
    "Fix my {thing}|Help me with my essay about {country}|Summarize the news|Tell me a joke|"
    "Write an essay about {country}|Send a message to {name}|Order a {thing}|Teach me {language}|"
    "Write a haiku about {animal}s|Find flights to {city}|Should I buy a {thing}?|How can I fall asleep?|"
    "I feel sad|I am bored|My {thing} is broken|Do you love me?|Can you dance?|Compose a song|"
    "How do I clean a {thing}?|How can I learn {language}?|Write a play about {city}"
).split("|")
DO_NOT_KNOW = (
    "I do not know that: I am a pocket-sized model made for lessons about speculative decoding. "
    + SKILLS
)
CANNOT_DO = (
    "I cannot do that: I am a pocket-sized model made for lessons about speculative decoding. "
    + SKILLS
)
LANGUAGES = (
    "German",
    "French",
    "Spanish",
    "Japanese",
    "Italian",
    "Dutch",
    "Hindi",
    "Korean",
    "Greek",
)
TITLES = (
    "Hamlet",
    "Faust",
    "the Odyssey",
    "Don Quixote",
    "War and Peace",
    "Dune",
    "Emma",
    "Ulysses",
)
OPENERS = (
    "",
    "",
    "",
    "",
    "Please tell me: ",
    "Do you know this? ",
    "A question: ",
    "Hey, ",
    "Hi! ",
)
POLITE = ("{x}", "{x}", "{x}", "Please {y}", "Can you {y}?", "Could you please {y}?", "{x}, please")


def sample(rng: Random) -> Example:
    """Draw small talk, a question of fact or a task that lies outside of the model's lessons."""
    kind = rng.random()
    if kind < 0.25:
        variants, answer = rng.choice(list(SMALL_TALK.items()))
        prompt = rng.choice(variants.split("|")) + rng.choice(("", "", ".", "!", "?"))
    elif kind < 0.65:
        prompt, answer = rng.choice(OPENERS) + _fill(rng, rng.choice(FACTS)), DO_NOT_KNOW
    else:
        prompt, answer = _polite(rng, _fill(rng, rng.choice(TASKS))), CANNOT_DO
    if rng.random() < 0.25:
        prompt = prompt.lower()
    if rng.random() < 0.2:
        prompt = prompt.rstrip("?.!")
    return Example(NAME, prompt, answer)


def grade(example: Example, text: str) -> dict[str, bool]:
    """There is one right answer for each kind of talk."""
    return {"right": text.strip() == example.answer}


def _polite(rng: Random, task: str) -> str:
    if task.endswith("?") or task.startswith(("I ", "My ")):
        return task
    return rng.choice(POLITE).format(x=task, y=task[0].lower() + task[1:])


def _fill(rng: Random, template: str) -> str:
    return template.format(
        country=words.country(rng), city=words.city(rng), city2=words.city(rng), year=rng.randint(1500, 2025),
        animal=words.animal(rng), food=words.food(rng), thing=words.thing(rng), name=words.name(rng),
        last=words.last_name(rng), day=rng.choice(words.DAYS), language=rng.choice(LANGUAGES),
        title=rng.choice(TITLES), hour=rng.randint(1, 12),
    )  # fmt: skip
