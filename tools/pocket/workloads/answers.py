"""Questions about speculative decoding and MTP in many phrasings, each with one right answer."""

import re
from random import Random
from typing import Any

from tools.pocket.example import Example, is_the_answer, table

NAME = "qa"
Topic = dict[str, Any]  # names, questions and answers of one thing that can be asked
TABLE = table("answers")
TOPICS: list[Topic] = TABLE["topics"]  # the three main ones first
BOTH = TOPICS[2]
TUTORIAL_PROMPT = "Explain the concepts of speculative decoding and MTP in 3 sentences."
grade = is_the_answer


def sample(rng: Random) -> Example:
    """Draw a topic, the form of the answer and a way of asking for it."""
    # The three main topics are asked for more often.
    topic = rng.choice(TOPICS[:3]) if rng.random() < 0.2 else rng.choice(TOPICS)
    roll = rng.random()
    if roll < 0.08 and "steps" in topic:
        return Example(NAME, _ask(rng, topic, "step_asks"), topic["steps"])
    if roll < 0.15 and "five" in topic:
        return Example(NAME, _ask(rng, topic, "five_asks"), topic["five"])
    forms = [topic.get(form, "") for form in ("answer", "one_sentence", "three_sentences")]
    forms = [form for form in forms if str(_sentences(form)) in TABLE["counted"]]
    if roll < 0.35 and forms:
        if topic is BOTH and rng.random() < 0.3:
            return Example(NAME, TUTORIAL_PROMPT, BOTH["three_sentences"])
        answer = rng.choice(forms)
        count = _sentences(answer)
        # Two answers may have the same number of sentences: the form that is made for it wins.
        answer = topic.get({1: "one_sentence", 3: "three_sentences"}.get(count, "")) or answer
        prompt = f"{_ask(rng, topic, 'commands')} {rng.choice(TABLE['counted'][str(count)])}"
        asks = prompt.startswith(("What", "Can", "Could"))
        return Example(NAME, prompt + ("?" if asks else "."), answer)
    prompt = _ask(rng, topic, "about") if rng.random() < 0.5 else _question(rng, topic)
    if rng.random() < 0.12:
        name = re.sub("^(the|an?) ", "", rng.choice(topic["names"]))
        prompt = rng.choice(TABLE["bare_about"]).format(x=name)
    return Example(NAME, prompt, topic["answer"])


def _ask(rng: Random, topic: Topic, form: str) -> str:
    """Return one of a form's templates around one of the topic's names."""
    name = rng.choice(topic["names"])
    if name.startswith("how "):  # such as "how MTP works", which is no thing
        if form == "about":
            form = "clause_about"
        else:
            name = topic["names"][0]
    head = re.split(r" (?:of|in|between|for|with|that|on|behind|after|per) |_", name)[0].split()[-1]
    plural = head in TABLE["plural_heads"] or (
        " and " in name and not name.startswith(("a ", "the ", "draft "))
    )
    plural = plural and "_" not in name
    values = {"is": "are" if plural else "is", "does": "do" if plural else "does"}
    return rng.choice(TABLE[form]).format(x=name, pronoun="that", **values)


def _sentences(text: str) -> int:
    return len(re.findall(r"[.!?](?= |$)", text))


def _question(rng: Random, topic: Topic) -> str:
    question = rng.choice(topic["questions"])
    opener = rng.choice(TABLE["question_openers"])
    return opener + (question[0].lower() + question[1:] if opener.endswith(", ") else question)
