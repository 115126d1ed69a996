"""Questions about speculative decoding and MTP in many phrasings, each with one right answer."""

from random import Random

from tools.pocket.example import Example
from tools.pocket.workloads.answer_texts import BOTH, TOPICS, Topic

NAME = "qa"

ABOUT = (
    "What is {x}?", "What is {x}?", "Explain {x}.", "Explain {x}", "Can you explain {x}?", "Tell me about {x}.",
    "Please explain {x}.", "Describe {x}.", "What do you know about {x}?", "Could you explain {x} to me?",
    "I do not understand {x}.", "Please tell me what {x} is.", "What do you mean by {x}?", "Define {x}.",
    "Help me understand {x}.", "I want to learn about {x}.", "Give me an explanation of {x}.", "{x}",
    "What exactly is {x}?", "Teach me about {x}.", "How would you explain {x}?", "What's {x}?", "{x}?",
    "Write a paragraph about {x}.", "Please describe {x}.", "What does {x} mean?", "Explain what {x} is.",
    "In simple words, what is {x}?", "Explain {x} like I am five.", "Explain {x} to a beginner.",
    "I have a question about {x}.", "Say something about {x}.", "Talk about {x}.", "Introduce {x}.",
)  # fmt: skip
TAILS = (
    "",
    "",
    "",
    "",
    " briefly",
    " in simple words",
    " in a few words",
    " for a beginner",
    " in short",
    " simply",
)
ONE = (
    " in one sentence", " in 1 sentence", " in a single sentence", " in just one sentence",
    " with one sentence", " using one sentence",
)  # fmt: skip
THREE = (" in 3 sentences", " in three sentences", " with three sentences", " using 3 sentences")
COMMANDS = (
    "Explain {x}",
    "Describe {x}",
    "Please explain {x}",
    "Summarize {x}",
    "Define {x}",
    "Sum up {x}",
)
QUESTION_OPENERS = (
    "", "", "", "", "", "Please tell me: ", "I wonder: ", "Can you tell me: ", "Quick question: ", "In short: ", "Hi, ",
    "Question: ",
)  # fmt: skip


def sample(rng: Random) -> Example:
    """Draw a topic and a way of asking for it."""
    # The three main topics are asked for more often.
    topic = rng.choice(TOPICS[:3]) if rng.random() < 0.2 else rng.choice(TOPICS)
    roll = rng.random()
    if roll < 0.15 and topic.one_sentence:
        return Example(NAME, _command(rng, topic, ONE), topic.one_sentence)
    if roll < 0.35 and topic.three_sentences:
        if topic is BOTH and rng.random() < 0.2:
            prompt = "Explain the concepts of speculative decoding and MTP in 3 sentences."
        else:
            prompt = _command(rng, topic, THREE)
        return Example(NAME, prompt, topic.three_sentences)
    prompt = _about(rng, topic) if rng.random() < 0.6 else _question(rng, topic)
    return Example(NAME, _vary(rng, prompt), topic.answer)


def grade(example: Example, text: str) -> dict[str, bool]:
    """There is one right answer to each question."""
    return {"right": text.strip() == example.answer}


def _command(rng: Random, topic: Topic, tails: tuple[str, ...]) -> str:
    prompt = rng.choice(COMMANDS).format(x=rng.choice(topic.names.split("|"))) + rng.choice(tails)
    return _vary(rng, prompt + rng.choice((".", ".", "")))


def _about(rng: Random, topic: Topic) -> str:
    prompt = rng.choice(ABOUT).format(x=rng.choice(topic.names.split("|")))
    tail = rng.choice(TAILS)
    end = prompt[-1] if prompt[-1] in ".?" else ""
    return prompt.removesuffix(end) + tail + end


def _question(rng: Random, topic: Topic) -> str:
    question = rng.choice(topic.questions.split("|"))
    opener = rng.choice(QUESTION_OPENERS)
    return opener + (question[0].lower() + question[1:] if opener == "Hi, " else question)


def _vary(rng: Random, prompt: str) -> str:
    """Sometimes drop the capital letters or the final mark, as people do when they type."""
    roll = rng.random()
    if roll < 0.12:
        return prompt.lower()
    if roll < 0.22:
        return prompt.rstrip(".?")
    return prompt[0].upper() + prompt[1:]
