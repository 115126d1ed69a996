# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/10_measure_honestly.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F10_measure_honestly.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/10_measure_honestly.ipynb)

# %% [markdown]
# # 10 Measure honestly
#
# **Goal**: catch a wrong benchmark, make a fair one, and know when MTP loses.
#
# **Minutes**: 35. **Prerequisites**: lesson 07.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %%
PAIR = "pocket"  # @param ["pocket", "E2B", "E4B", "12B", "26B-A4B", "31B"]

# %%
import statistics

from gemma_mtp_edu import autoregressive_generate, load_pair, speculative_generate
from gemma_mtp_edu.analysis import clock

pair = load_pair(PAIR)

# %% [markdown]
# ## A benchmark in one minute
#
# Somebody hands you this: load the model, run it plainly, run it with drafts, divide. The stopwatch waits for
# the device, because a GPU's calls return before their work is done.


# %%
def stopwatch(generate, prompt, **arguments):
    start = clock(pair.device)  # waits for the device, then looks at the clock
    trace = generate(pair, prompt, **arguments)
    return clock(pair.device) - start, trace


story, counting = "Tell me a short story about a heron.", "Count from 7 to 24."
plain_seconds, plain = stopwatch(autoregressive_generate, story, max_new_tokens=16)
drafted_seconds, drafted = stopwatch(speculative_generate, counting, gamma=4, max_new_tokens=48)

# %% tags=["timing"]
plain_speed = len(plain.token_ids) / plain_seconds
drafted_speed = len(drafted.token_ids) / drafted_seconds
print(f"plain {plain_speed:.0f} tokens/s, with drafts {drafted_speed:.0f} tokens/s")
print(f"'MTP is {drafted_speed / plain_speed:.1f} times as fast!'")

# %% [markdown]
# **Predict**: what is wrong with that number? At least four things are. Note them before you read on.

# %%
my_list = []  # such as "..."

# %% [markdown]
# ## Mistake 1: the first run
#
# The first run of a program allocates memory and loads code. Plain decoding came first above, so whatever that
# takes, it paid. Here are ten runs of the same thing in a row, each of 8 tokens, beside half of that first run
# of 16. How much do they differ?

# %%
same = [stopwatch(autoregressive_generate, story, max_new_tokens=8)[0] for _ in range(10)]

# %% tags=["timing"]
from gemma_mtp_edu import plots

print(f"the very first run took {plain_seconds / 16 * 8:.2f} s for as many tokens")
runs = {"8 tokens, plain": dict(enumerate([plain_seconds / 16 * 8, *same], 1))}
plots.show_figure(plots.lines_chart(runs, "run", "seconds", {"median": statistics.median(same)}))

# %% [markdown]
# So drop the first run of everything that you time. With a GPU, or a model that is compiled, it can take a
# hundred times as long as the others; on a CPU you may hardly see it.

# %% [markdown]
# ## Mistake 2: one run
#
# Take the fastest and the slowest of those ten. Had you timed each "method" once, you could have measured this
# "speedup", of a thing over itself:

# %% tags=["timing"]
print(f"one run against one run: up to {max(same) / min(same):.2f}")
halves = statistics.median(same[::2]) / statistics.median(same[1::2])
print(f"median of five against median of five: {halves:.2f}")

# %% [markdown]
# The **median** is the middle one. A run in which something else used the machine does not move it, but it
# does move the mean. And no speedup means anything that is smaller than what a thing has over itself.

# %% [markdown]
# ## Mistake 3: one after the other
#
# Machines drift: they heat up and slow down, somebody else comes and goes. Let us play a machine on which each
# run takes 2% longer than the one before. Methods A and B are equally fast. **Predict**: what does the ratio
# say if all ten runs of A come first?

# %% tags=["nbval-check-output"]
drift = [1.02**i for i in range(20)]
in_blocks = statistics.median(drift[10:]) / statistics.median(drift[:10])
in_turns = statistics.median(drift[1::2]) / statistics.median(drift[::2])
print(f"all of A, then all of B: B takes {in_blocks:.2f} times as long")
print(f"A, B, A, B in turns:     B takes {in_turns:.2f} times as long")
assert in_turns < 1.03 < in_blocks

# %% [markdown]
# So take turns. Medians cannot help there: every single run of B was slow.

# %% [markdown]
# ## Mistake 4: different texts
#
# The drafts were timed on an easy text, plain decoding on a story. How many drafts hold depends on the text,
# so a speedup belongs to a text:

# %% tags=["nbval-check-output"]
hard = speculative_generate(pair, story, gamma=4, max_new_tokens=48)
easy = speculative_generate(pair, counting, gamma=4, max_new_tokens=48)
print("more tokens per round in the easy text:", easy.tokens_per_round > hard.tokens_per_round)
assert easy.tokens_per_round > hard.tokens_per_round

# %%
for name, trace in (("story", hard), ("counting", easy)):
    print(f"{name}: {trace.tokens_per_round:.2f} tokens per round")

# %% [markdown]
# And the lengths differed: 16 tokens and up to 48. Every answer begins with a **prefill** that no drafter
# makes faster; a short answer spreads it over few tokens. Compare the same text, of the same length, and check
# that it *is* the same.

# %% [markdown]
# ## Do it right
#
# The same prompts for both, in turns, the first turn dropped, medians, and a look at the texts.


# %%
def fair(prompt, turns=4, tokens=48):
    runs = {"plain": [], "4 drafts": []}
    for _ in range(turns):
        seconds, plain = stopwatch(autoregressive_generate, prompt, max_new_tokens=tokens)
        runs["plain"].append(seconds)
        seconds, drafted = stopwatch(speculative_generate, prompt, gamma=4, max_new_tokens=tokens)
        runs["4 drafts"].append(seconds)
        # 16 bit rounds: there a near tie may fall the other way (lesson 05).
        assert plain.token_ids == drafted.token_ids or pair.target.dtype.itemsize < 4
    return runs


both = {"story": fair(story), "counting": fair(counting)}

# %% tags=["timing"]
for name, runs in both.items():
    middle = {method: statistics.median(seconds[1:]) for method, seconds in runs.items()}
    print(f"{name}: {middle['plain'] / middle['4 drafts']:.2f} times as fast with 4 drafts")
shown = {
    f"{name}, {method}": dict(enumerate(seconds, 1))
    for name, runs in both.items()
    for method, seconds in runs.items()
}
plots.show_figure(plots.lines_chart(shown, "run", "seconds"))

# %% [markdown]
# Where two lines touch, do not claim a difference. And look back at the number at the top: which
# of the four mistakes moved it most on your machine?
#
# How much of a text is timed matters as well. The rounds of both, for 24 tokens and for 48:

# %% tags=["nbval-check-output"]
for tokens in (24, 48):
    n_rounds = [
        len(speculative_generate(pair, prompt, gamma=4, max_new_tokens=tokens).draft_rounds)
        for prompt in (story, counting)
    ]
    print(f"{tokens} tokens: {n_rounds[0]} rounds of story, {n_rounds[1]} of counting", end=", ")
    print(f"{n_rounds[0] / n_rounds[1]:.2f} times as many")

# %% [markdown]
# So say over how many tokens you measured.

# %% [markdown]
# ## What else moves the number
#
# A fair number holds for *its* conditions. Five of them change it most: context, prompt and answer length,
# dtype, batch, and the text, which you know already. First the **context**: how do costs change after 512 tokens?

# %%
from gemma_mtp_edu import CostModel

cost = CostModel.calibrate(pair, lengths=(1, 5), contexts=(64, 512), repeats=3)

# %% tags=["timing"]
for context in cost.contexts:
    plain_ms = 1000 * cost.plain(context)
    print(
        f"after {context} tokens: a plain step {plain_ms:.1f} ms, with alpha 0.8 and 4 drafts",
        end=" ",
    )
    print(f"{cost.predict(0.8, 4, context):.2f} times as fast")

# %% [markdown]
# Where the two lines are alike, the pass is busy with other things than reading the cache; with a real model
# and a long context that ends.

# %% [markdown]
# ## Prompt and answer
#
# A user waits for the whole answer, and the prefill is part of it. The longer the prompt and the shorter the
# answer, the less a drafter can do.

# %% tags=["timing"]
long_prompt = " ".join([story] * 12)
stopwatch(autoregressive_generate, long_prompt, max_new_tokens=4)  # warm-up
_, trace = stopwatch(autoregressive_generate, long_prompt, max_new_tokens=24)
seconds = [r.seconds for r in trace.rounds]
for tokens in (4, len(seconds)):
    share = seconds[0] / sum(seconds[:tokens])
    print(
        f"{len(trace.prompt_ids)} tokens in, {tokens} out: the prefill is {share:.0%} of the time"
    )

# %% [markdown]
# ## Dtype
#
# **Predict**: half the bytes, so twice as fast? Time it in bfloat16; and is it still the same text? A CPU or GPU
# without bfloat16 units may be slower with it, and then a speedup in it says little about another dtype.

# %%
# A real pair is not loaded twice: a GPU seldom has room for both.
bf16 = load_pair(PAIR, dtype="bfloat16") if PAIR == "pocket" else pair

# %% tags=["timing"]
for name, models in (("as loaded", pair), ("bfloat16", bf16)):
    traces = [autoregressive_generate(models, story, max_new_tokens=16) for _ in range(3)]
    step = statistics.median(r.seconds for trace in traces[1:] for r in trace.draft_rounds)
    same_text = traces[0].token_ids == hard.token_ids[:16]
    print(f"{name} ({models.target.dtype}): {1000 * step:.1f} ms a step, same text: {same_text}")

# %% [markdown]
# Where bfloat16 is no faster, bytes are not the limit: `pocket` spends its time on starting operations (lesson
# 01). Where it is slower, converting comes on top. With a real model on a GPU it is another matter. Compare
# within a cell only: from one cell to the next the machine may have become faster or slower.

# %% [markdown]
# ## Batch
#
# Servers pass many requests at once. Then the processor no longer idles, and the extra tokens of a verify pass
# are no longer nearly free. **Predict**: what do 5 tokens cost against 1, for 1, 16 and 128 requests?


# %%
import torch


@torch.no_grad()
def pass_seconds(batch, n_tokens):
    ids = pair.encode(story)[:, :1].expand(batch, n_tokens)
    start = clock(pair.device)
    pair.target(input_ids=ids, use_cache=False)
    return clock(pair.device) - start


sizes = [(batch, n_tokens) for batch in (1, 16, 128) for n_tokens in (1, 5)]
turns = [{size: pass_seconds(*size) for size in sizes} for _ in range(8)]
middle = {size: statistics.median(turn[size] for turn in turns[1:]) for size in sizes}

# %% tags=["timing"]
for batch in (1, 16, 128):
    ratio = middle[batch, 5] / middle[batch, 1]
    print(f"batch {batch:3}: a pass over 5 tokens each costs {ratio:.2f} passes over 1")

# %% [markdown]
# ## When MTP loses
#
# Put it together with the cost model of lesson 07, for rounds of 4 drafts. It may say "do not use MTP", and that
# is a result, too.

# %% tags=["timing"]
from dataclasses import replace

slow_draft = replace(cost, drafter_seconds=tuple(5 * s for s in cost.drafter_seconds))
as_many_passes = tuple((one, 5 * one) for one, _ in cost.verify_seconds)
no_gain = replace(cost, verify_seconds=as_many_passes)
scenarios = {
    "easy text (alpha 0.95)": cost.predict(0.95, 4),
    "usual text (alpha 0.7)": cost.predict(0.7, 4),
    "hard text (alpha 0.2)": cost.predict(0.2, 4),
    "usual, drafter five times as slow": slow_draft.predict(0.7, 4),
    "usual, 5 tokens cost 5 passes": no_gain.predict(0.7, 4),
}
speeds = {name: {"4 drafts": speedup} for name, speedup in scenarios.items()}
plots.show_figure(plots.plot_speeds(speeds))

# %% [markdown]
# Real pairs lose as well. Gemma 4 E2B in transformers on an M4 Pro: 1.25 times as fast on JSON, 0.90 on
# summaries, 0.74 in chat; 1.04 on average over its six tasks. Which of these four would you put into a
# headline, and which would help a reader?

# %% [markdown]
# ## The checklist
#
# Write down with every number: hardware, dtype, releases, threads, prompts, lengths, drafts per round, how
# often and in which order. `python -m gemma_mtp_edu bench` writes this beside its results, and measures in turns:

# %%
from gemma_mtp_edu.measure import Plan, conditions

facts = conditions(pair, Plan())
print("\n".join(f"{key}: {value}" for key, value in facts.items()))

# %% [markdown]
# ## Change this
#
# Run `fair` with a prompt of your own and more tokens. Does the speedup settle as the text gets longer?

# %% tags=["timing"]
for tokens in (12, 24, 48):
    mine = fair("Tell me a short story about a lamp.", turns=3, tokens=tokens)
    middle = {method: statistics.median(seconds[1:]) for method, seconds in mine.items()}
    print(f"{tokens} tokens: {middle['plain'] / middle['4 drafts']:.2f} times as fast")

# %% [markdown]
# ## Takeaways
#
# 1. Warm up, take turns, repeat, compare medians, and check that both wrote the same text.
# 2. A speedup belongs to a text, a prompt length, a dtype, a batch and a machine: say which.
# 3. MTP can lose: with hard texts, dear drafts, or where a verify pass over n tokens costs n passes.

# %% [markdown]
# ## Exercises
#
# **1.** Write the fair ratio: from two lists of seconds, made in turns and each with its warm-up first,
# return how many times as fast decoding with drafts is.
#
# <details><summary>Hint</summary>Leave the first number of each out, then <code>statistics.median</code>.
# Faster means fewer seconds, so which one is on top?</details>

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def fair_speedup(plain, drafted):
    return None  # your code


check("fair_speedup", fair_speedup)

# %% [markdown]
# **2.** What is wrong with each? Seconds per run, in order. B to E write the same text.
#
# | | plain | with drafts | claim |
# |---|---|---|---|
# | A, in turns | story: 9.0 2.0 2.1 2.0 | list: 5.0 1.0 1.0 1.1 | 2.0 |
# | B, plain first | 9.0 2.0 2.2 2.4 | 2.6 2.8 3.0 3.2 | 0.73 |
# | C, in turns | 9.0 2.0 2.0 2.1 | 3.0 1.6 1.5 1.6 | 1.25 |
# | D, in turns, mean of all | 9.0 2.0 2.0 | 2.2 2.1 2.0 | 2.1 |
# | E, warm | 2.1 | 1.9 | 1.1 |

# %% [markdown]
# <details><summary>Hint</summary>One of them is fine. Which number would change if you dropped the first
# run, swapped the order, or ran it again?</details>

# %% tags=["nbval-check-output"]
# "warm-up", "one run", "different texts", "not in turns" or "fine"
my_answers = {"A": None, "B": None, "C": None, "D": None, "E": None}

check("wrong_benchmarks", my_answers)

# %% [markdown]
# **3.** A drafter makes decoding `speedup` times as fast. How many times as fast is the whole answer, if it
# takes `prefill` and `decoding` seconds without a drafter?
#
# <details><summary>Hint</summary>Whole time before, over whole time after. Which of the two parts
# shrinks?</details>


# %% tags=["nbval-check-output"]
def end_to_end(prefill, decoding, speedup):
    return None  # your code


check("end_to_end", end_to_end)

# %% [markdown]
# ## Sources
#
# - Leviathan, Kalman, Matias 2023, [arXiv:2211.17192](https://arxiv.org/abs/2211.17192), section 3
# - iprajax/gemma4-mtp, `findings.md` and `README.md`: Gemma 4 E2B and E4B on an M4 Pro, by task
# - PyTorch, [benchmark recipe](https://pytorch.org/tutorials/recipes/recipes/benchmark.html): warm-up and
#   waiting for the device
#
# Solutions: `solutions_10_measure_honestly`. Next: `11_train_a_drafter`.
