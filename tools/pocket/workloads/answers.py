"""Questions about speculative decoding and MTP in many phrasings, each with one right answer."""

import re
from random import Random

from tools.pocket.example import Example
from tools.pocket.workloads.answer_phrasings import FIVE, MORE, STEPS
from tools.pocket.workloads.answer_texts import BOTH, TOPICS, Topic

NAME = "qa"

TUTORIAL_PROMPT = "Explain the concepts of speculative decoding and MTP in 3 sentences."
ABOUT = (
    "What {is} {x}?", "What {is} {x}?", "What {is} {x}?", "Explain {x}.", "Explain {x}.", "Can you explain {x}?",
    "Tell me about {x}.", "Please explain {x}.", "Describe {x}.", "What do you know about {x}?",
    "Could you explain {x} to me?", "I do not understand {x}.", "Please tell me what {x} {is}.",
    "What do you mean by {x}?", "Define {x}.", "Help me understand {x}.", "I want to learn about {x}.",
    "Give me an explanation of {x}.", "{x}", "{x}?", "What exactly {is} {x}?", "Teach me about {x}.",
    "How would you explain {x}?", "Write a paragraph about {x}.", "Please describe {x}.", "What {does} {x} mean?",
    "Explain what {x} {is}.", "In simple words, what {is} {x}?", "Explain {x} to a beginner.",
    "I have a question about {x}.", "Say something about {x}.", "Talk about {x}.", "Introduce {x}.",
    "Explain {x} in simple words.", "Can you explain {x} in simple words?", "Briefly explain {x}.",
    "What {is} {x} in short?", "Explain {x} briefly.", "Describe {x} briefly.", "Explain {x} in a few words.",
    "I do not understand {x}. What {is} {pronoun}?", "Can you tell me what {x} {is}?", "Can you describe {x}?",
    "Could you tell me about {x}?", "I would like to know what {x} {is}.", "Do you know what {x} {is}?",
    "Write a short explanation of {x}.", "Give a short definition of {x}.", "Explain simply: {x}",
    "What should I know about {x}?", "I am new to this. What {is} {x}?", "Hello, what {is} {x}?", "Hi! Explain {x}.",
    "Tell me what {x} {is}.", "Explain to me what {x} {is}.", "Can you help me understand {x}?", "So what {is} {x}?",
    "I read about {x}. What {is} {pronoun}?", "Please explain {x} to me.", "How can {x} be explained?",
)  # fmt: skip
# For names such as "how MTP works", which are no things.
CLAUSE_ABOUT = (
    "Explain {x}.", "Please explain {x}.", "Can you explain {x}?", "Describe {x}.", "Tell me {x}.", "I want to know {x}.",
    "Could you tell me {x}?", "Briefly explain {x}.", "Explain {x} in simple words.", "I do not understand {x}.",
)  # fmt: skip
COUNTED = {
    1: "in one sentence|in 1 sentence|in a single sentence|in just one sentence|with one sentence|using one sentence",
    2: "in two sentences|in 2 sentences|with two sentences|using 2 sentences",
    3: "in 3 sentences|in three sentences|with three sentences|using 3 sentences|in just 3 sentences",
}  # fmt: skip
COMMANDS = (
    "Explain {x}", "Explain {x}", "Describe {x}", "Please explain {x}", "Summarize {x}", "Define {x}", "Sum up {x}",
    "Can you explain {x}", "Could you describe {x}", "Tell me about {x}", "Explain to me {x}", "What {is} {x}",
    "Please describe {x}", "Introduce {x}", "Can you summarize {x}",
)  # fmt: skip
STEP_ASKS = (
    "List the steps of {x}.", "Explain {x} step by step.", "Explain {x} as a list of steps.", "Describe {x} step by step.",
    "Give me the steps of {x} as a list.", "What are the steps of {x}, as a list?", "Write down {x} as a list of steps.",
    "Summarize {x} as a list of steps.", "Can you explain {x} step by step?", "Show me {x} step by step.",
    "Please list the steps of {x}.", "Explain {x} in steps.", "Describe {x} as a numbered list.",
)  # fmt: skip
FIVE_ASKS = (
    "Explain {x} like I am five.", "Explain {x} like I'm five.", "Explain {x} to a child.", "Explain {x} as if I were five.",
    "What {is} {x}? Explain it like I am five.", "Can you explain {x} to a child?", "Explain {x} to a five year old.",
    "ELI5: {x}", "Describe {x} to a child.", "How would you explain {x} to a child?", "Explain {x} to my grandmother.",
)  # fmt: skip
QUESTION_OPENERS = (
    "", "", "", "", "", "", "", "Please tell me: ", "I wonder: ", "Can you tell me: ", "Quick question: ", "In short: ",
    "Hi, ", "Question: ", "Hello, ", "Hi! ", "Please explain: ", "Tell me: ", "One question: ", "Briefly: ", "Simple question: ",
)  # fmt: skip
PLURAL_HEADS = frozenset(
    "tokens drafts drafters models batches steps limits cases drawbacks embeddings centroids keys states rounds rejections "
    "differences concepts ideas disadvantages limitations downsides weaknesses distributions clusters values layers logits "
    "LLMs targets schedules qualities".split()
)


def sample(rng: Random) -> Example:
    """Draw a topic, the form of the answer and a way of asking for it."""
    # The three main topics are asked for more often.
    topic = rng.choice(TOPICS[:3]) if rng.random() < 0.2 else rng.choice(TOPICS)
    key = topic.names.split("|")[0]
    roll = rng.random()
    if roll < 0.08 and key in STEPS:
        return Example(NAME, _vary(rng, _ask(rng, topic, STEP_ASKS)), STEPS[key])
    if roll < 0.15 and key in FIVE:
        return Example(NAME, _vary(rng, _ask(rng, topic, FIVE_ASKS)), FIVE[key])
    forms = [topic.answer, topic.one_sentence, topic.three_sentences]
    forms = [form for form in forms if _sentences(form) in COUNTED]
    if roll < 0.35 and forms:
        if topic is BOTH and rng.random() < 0.3:
            return Example(NAME, TUTORIAL_PROMPT, BOTH.three_sentences)
        answer = rng.choice(forms)
        count = _sentences(answer)
        # Two answers may have the same number of sentences: the form that is made for it wins.
        answer = {1: topic.one_sentence, 3: topic.three_sentences}.get(count) or answer
        prompt = f"{_ask(rng, topic, COMMANDS)} {rng.choice(COUNTED[count].split('|'))}"
        asks = prompt.startswith(("What", "Can", "Could"))
        return Example(NAME, _vary(rng, prompt + ("?" if asks else ".")), answer)
    prompt = _ask(rng, topic, ABOUT) if rng.random() < 0.6 else _question(rng, topic)
    return Example(NAME, _vary(rng, prompt), topic.answer)


def grade(example: Example, text: str) -> dict[str, bool]:
    """There is one right answer to each question."""
    return {"right": text.strip() == example.answer}


def _ask(rng: Random, topic: Topic, templates: tuple[str, ...]) -> str:
    """Return one of the templates around one of the topic's names."""
    names, _ = _phrasings(topic)
    name = rng.choice(names)
    if name.startswith("how "):
        if templates is ABOUT:
            templates = CLAUSE_ABOUT
        else:
            name = names[0]
    head = re.split(r" (?:of|in|between|for|with|that|on|behind|after|per) |_", name)[0].split()[-1]
    plural = head in PLURAL_HEADS or (
        " and " in name and not name.startswith(("a ", "the ", "draft "))
    )
    plural = plural and "_" not in name
    values = {"is": "are" if plural else "is", "does": "do" if plural else "does"}
    return rng.choice(templates).format(x=name, pronoun="that", **values)


def _sentences(text: str) -> int:
    return len(re.findall(r"[.!?](?= |$)", text))


def _phrasings(topic: Topic) -> tuple[list[str], list[str]]:
    """Return all names and all questions of a topic."""
    names, questions = MORE.get(topic.names.split("|")[0], ("", ""))
    return (
        topic.names.split("|") + [name for name in names.split("|") if name],
        topic.questions.split("|") + [question for question in questions.split("|") if question],
    )


def _question(rng: Random, topic: Topic) -> str:
    question = rng.choice(_phrasings(topic)[1])
    opener = rng.choice(QUESTION_OPENERS)
    return opener + (question[0].lower() + question[1:] if opener.endswith(", ") else question)


def _vary(rng: Random, prompt: str) -> str:
    """Sometimes drop the capital letters or the final mark, as people do when they type."""
    roll = rng.random()
    if roll < 0.12:
        return prompt.lower()
    if roll < 0.2:
        return prompt.rstrip(".?")
    if roll < 0.24:
        return prompt.lower().rstrip(".?")
    return prompt[0].upper() + prompt[1:]
