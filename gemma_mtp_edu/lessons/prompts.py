"""Prompts by workload, from predictable text to free text, for lessons and benchmarks.

The bundled pair was trained on these eight kinds of task, not on these prompts.
"""

PROMPTS: dict[str, tuple[str, ...]] = {
    "json": (
        "Write a JSON record for a person named Ida Berg who is 44 years old and lives in Lima.",
        "Create a JSON object for a book with title, author and year.",
        "Write a JSON record of a robot named Bolt with the fields name, color and price.",
    ),
    "code": (
        "Write a Python function that returns the sum of two numbers.",
        "Write a Python function that counts the vowels in a text.",
        "Write a Python function that returns the largest of three numbers.",
    ),
    "arithmetic": (
        "Count from 7 to 24.",
        "What is 47 + 38?",
        "Count backwards from 20 to 5.",
    ),
    "rewrite": (
        "Repeat this sentence: The quick heron met a patient gardener near the old mill.",
        "Write this in capital letters: a small boat on the lake",
        "Copy this text: Mira bought seven apples, two pears and a red umbrella.",
    ),
    "qa": (
        "Explain the concepts of speculative decoding and MTP in 3 sentences.",
        "What does the drafter do?",
        "Why is decoding slow?",
    ),
    "story": (
        "Tell me a short story about a heron.",
        "Write a story about a baker who lives near a lake.",
        "Write a funny story about a robot named Bolt.",
    ),
    "list": (
        "List five fruits.",
        "Give me four ideas for a rainy day.",
        "Name seven musical instruments.",
    ),
    "chat": (
        "Hello!",
        "What can you do?",
        "What is the weather in Oslo?",
    ),
}
