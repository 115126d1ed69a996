# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/10_measure_honestly.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F10_measure_honestly.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/10_measure_honestly.ipynb)

# %% [markdown]
# # 10 Measure honestly
#
# **Goal**: find what is wrong with a benchmark, make a fair one, and learn when drafting does not pay.
#
# **Minutes**: 45. **Prerequisites**: lesson 07.

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
import time

import torch

from gemma_mtp_edu import autoregressive_generate, load_pair, plots, speculative_generate

pair = load_pair(PAIR)

# %% [markdown]
# ## A benchmark in one minute
#
# Here is a benchmark as many are made: load the model, run it without drafts, run it with drafts, divide. The
# clock waits for the device, because a GPU's calls return before their work is done.

# %%
WAIT = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}


def clock():
    WAIT.get(pair.device.type, lambda: None)()
    return time.perf_counter()


def stopwatch(generate, prompt, **arguments):
    start = clock()
    trace = generate(pair, prompt, **arguments)
    return clock() - start, trace


story, counting = "Tell me a short story about a heron.", "Count from 7 to 24."
plain_seconds, plain = stopwatch(autoregressive_generate, story, max_new_tokens=16)
drafted_seconds, drafted = stopwatch(speculative_generate, counting, gamma=4, max_new_tokens=48)

# %% tags=["timing"]
plain_speed = len(plain.token_ids) / plain_seconds
drafted_speed = len(drafted.token_ids) / drafted_seconds
print(f"plain {plain_speed:.0f} tokens/s, with drafts {drafted_speed:.0f} tokens/s")
print(f"'MTP gives a {drafted_speed / plain_speed:.1f}x speedup!'")

# %% [markdown]
# **Predict**: what is wrong with that number? At least four things are. Write them down before you read on.

# %%
my_list = []  # such as "..."

# %% [markdown]
# ## The first suspect
#
# The first run of a program allocates memory and loads code. Plain decoding came first above, so it paid for that.
# Here are ten runs of one thing in a row, 8 tokens each, after half of that first run of 16 tokens. **Predict**:
# how many times as long as the fastest does the slowest take?

# %%
same = [stopwatch(autoregressive_generate, story, max_new_tokens=8)[0] for _ in range(10)]

# %% tags=["timing"]
first = plain_seconds / 16 * 8
runs = {"8 tokens, plain": dict(enumerate([first, *same], 1))}
middle = statistics.median(same)
ax = plots.lines_chart(runs, "run", "seconds (the axis does not start at 0)", {"median": middle})
low, high = min(first, *same), max(first, *same)
ax.set(ylim=(0.9 * low, 1.05 * high), title=f"Runs of one thing: {low:.3f} to {high:.3f} s")
plots.show_figure(ax)

# %% [markdown]
# So drop the first run of everything that you time: a **warm-up**. On a GPU, or with a compiled model, it can
# take a hundred times as long as the others; on a CPU you may hardly see it.

# %% [markdown]
# ## The second suspect
#
# Take the fastest and the slowest of those ten. Had you timed each "method" once, you could have measured this
# "speedup" of a thing over itself:

# %% tags=["timing"]
print(f"one run against one run: up to {max(same) / min(same):.2f}x")
halves = statistics.median(same[::2]) / statistics.median(same[1::2])
print(f"median of five against median of five: {halves:.2f}x")

# %% [markdown]
# The **median** is the middle one. A run in which something else used the machine does not move it, but it does
# move the mean. Report the **spread** too, such as the smallest and the largest of the runs. Do not claim a
# difference that is smaller than a method's own spread.

# %% [markdown]
# ## The third suspect
#
# Machines drift: they heat up and slow down, other programs come and go. Let us simulate a machine on which each
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
# So take turns. Medians do not help there: every single run of B was slow.

# %% [markdown]
# ## The fourth suspect
#
# **Predict**: the same drafter, the same draft length, a story and a count. Which has more tokens per round?

# %% tags=["nbval-check-output"]
hard = speculative_generate(pair, story, gamma=4, max_new_tokens=48)
easy = speculative_generate(pair, counting, gamma=4, max_new_tokens=48)
print("more tokens per round in the count:", easy.tokens_per_round > hard.tokens_per_round)
assert easy.tokens_per_round > hard.tokens_per_round

# %%
for name, trace in (("story", hard), ("counting", easy)):
    print(f"{name}: {trace.tokens_per_round:.2f} tokens per round, {len(trace.token_ids)} tokens")

# %% [markdown]
# The benchmark above timed drafts on the easy text and plain decoding on the hard one. A speedup belongs to a
# text. So compare the same text, of the same length, and check that it *is* the same; and take several prompts
# of each kind, because one may be an exception.

# %% [markdown]
# ## Two times, not one
#
# The lengths differed as well: 16 tokens and up to 48. Every answer begins with a **prefill**, which no drafter
# makes faster. So users of servers ask for two numbers. **TTFT**, the time to the first token, is the prefill
# (and the queue before it). **TPOT**, the time per output token, is all that follows, over the tokens that
# follow. Only TPOT is the drafter's business.


# %%
def ttft(trace):
    return trace.rounds[0].seconds


def tpot(trace):
    return sum(r.seconds for r in trace.rounds[1:]) / (len(trace.token_ids) - 1)


# %% tags=["timing"]
long_prompt = " ".join([story] * 12)
stopwatch(autoregressive_generate, long_prompt, max_new_tokens=4)  # warm-up
for generate, more in ((autoregressive_generate, {}), (speculative_generate, {"gamma": 4})):
    trace = generate(pair, long_prompt, max_new_tokens=24, **more)
    times = f"TTFT {1000 * ttft(trace):.0f} ms, TPOT {1000 * tpot(trace):.1f} ms"
    share = ttft(trace) / sum(r.seconds for r in trace.rounds)
    print(f"{generate.__name__}: {times}; the prefill is {share:.0%} of the whole")

# %% [markdown]
# TPOT is a mean: with drafts the tokens come in bursts, several at once and then a pause of a whole round.

# %% [markdown]
# ## Do it right
#
# Five prompts of each kind, both methods in turns, the first turn dropped, five turns counted, TPOT, and a check
# that the texts are equal.

# %%
WORKLOADS = {
    "counting": [f"Count from {start} to {start + 17}." for start in (3, 7, 12, 19, 24)],
    "story": [
        f"Tell me a short story about a {hero}."
        for hero in ("heron", "lamp", "baker", "boat", "robot")
    ],
}


def fair(prompt, turns=5, tokens=16):
    found = {"plain": [], "4 drafts": []}
    for _ in range(1 + turns):
        plain = autoregressive_generate(pair, prompt, max_new_tokens=tokens)
        drafted = speculative_generate(pair, prompt, gamma=4, max_new_tokens=tokens)
        # 16 bit rounds: there a tie may fall the other way (lesson 05).
        assert plain.token_ids == drafted.token_ids or pair.target.dtype.itemsize < 4
        found["plain"].append(tpot(plain))
        found["4 drafts"].append(tpot(drafted))
    return {method: seconds[1:] for method, seconds in found.items()}


# %%
results = {
    f"{name} {number}": fair(prompt)
    for name, prompts in WORKLOADS.items()
    for number, prompt in enumerate(prompts, 1)
}

# %% tags=["timing"]
speedups = {}
for name, seconds in results.items():
    ratios = [a / b for a, b in zip(seconds["plain"], seconds["4 drafts"], strict=True)]
    medians = {method: statistics.median(values) for method, values in seconds.items()}
    ratio = medians["plain"] / medians["4 drafts"]
    speedups[name] = {"median": ratio, "lowest turn": min(ratios), "highest turn": max(ratios)}
for workload in WORKLOADS:
    each = [row["median"] for name, row in speedups.items() if name.startswith(workload)]
    print(f"{workload}: {statistics.median(each):.2f}x, prompts {min(each):.2f} to {max(each):.2f}")

# %% tags=["timing"]
ax = plots.plot_speeds(speedups)
widest = max(row["highest turn"] / row["lowest turn"] - 1 for row in speedups.values())
ax.set_title(f"Turns of one prompt differ by up to {widest:.0%}: claim no less")
plots.show_figure(ax)

# %% [markdown]
# Where two rows overlap, claim no difference. If the count is not ahead of the story, that is no contradiction: 16
# tokens are few rounds, and a count's first ones are not its easiest. And look back at the number at the top:
# which of the four suspects moved it most on your machine?

# %% [markdown]
# ## What else moves the number
#
# A fair number holds for *its* conditions. First the **context**: how does a decode step change after 512 tokens,
# when there are more keys and values to read? **Predict** the sign, then the size.

# %% tags=["timing"]
ids = pair.encode(" ".join([story] * 64))
for context in (64, 512):
    given = ids[:, :context]
    found = [autoregressive_generate(pair, given, max_new_tokens=8) for _ in range(4)][1:]
    step = statistics.median(r.seconds for trace in found for r in trace.rounds[1:])
    print(
        f"after {context} tokens: {1000 * step:.1f} ms a step, TTFT {1000 * ttft(found[-1]):.0f} ms"
    )

# %% [markdown]
# Where the two steps are alike, the pass is busy with other things than reading the cache.
#
# **How long the answer is** counts too. For Gemma 4 E4B (transformers, M4, draft length 4) one report has 2.07x
# over 200 tokens of short prompts, and 1.05x over 1,024 tokens of code. Another of its answers, of 1,024 tokens,
# had 1.20x. So say how many tokens you measured.

# %% [markdown]
# ## Dtype
#
# **Predict**: half the bytes, so twice as fast? Time it in bfloat16; and is it still the same text?

# %%
# A real pair is not loaded twice: a GPU seldom has room for both.
bf16 = load_pair(PAIR, dtype="bfloat16") if PAIR == "pocket" else pair

# %% tags=["timing"]
for name, models in (("as loaded", pair), ("bfloat16", bf16)):
    traces = [autoregressive_generate(models, story, max_new_tokens=12) for _ in range(4)]
    step = statistics.median(r.seconds for trace in traces[1:] for r in trace.rounds[1:])
    same_text = traces[0].token_ids == hard.token_ids[:12]
    print(f"{name} ({models.target.dtype}): {1000 * step:.1f} ms a step, same text: {same_text}")

# %% [markdown]
# Where bfloat16 is no faster, bytes are not the limit: `pocket` spends its time on starting operations (lesson
# 01). A CPU or GPU without bfloat16 units converts on top, and is slower. So a speedup in one dtype says little
# about another.

# %% [markdown]
# ## Batch
#
# Servers process many requests at once. Then the processor no longer idles, and the extra tokens of a verify pass
# are no longer nearly free. **Predict**: what do 5 tokens cost against 1, for 1, 16 and 128 requests?


# %%
@torch.no_grad()
def pass_seconds(batch, n_tokens):
    ids = pair.encode(story)[:, :1].expand(batch, n_tokens)
    start = clock()
    pair.target(input_ids=ids, use_cache=False)
    return clock() - start


sizes = [(batch, n_tokens) for batch in (1, 16, 128) for n_tokens in (1, 5)]
turns = [{size: pass_seconds(*size) for size in sizes} for _ in range(6)][1:]
seconds = {size: statistics.median(turn[size] for turn in turns) for size in sizes}
verify = {batch: seconds[batch, 5] / seconds[batch, 1] for batch in (1, 16, 128)}

# %% tags=["timing"]
for batch, ratio in verify.items():
    print(f"batch {batch:3}: a pass over 5 tokens each costs {ratio:.2f} passes over 1")

# %% [markdown]
# ## When MTP loses
#
# A round of 4 drafts takes 4 draft steps and a verify pass. With the chance alpha that a draft is right it
# writes `1 + alpha + ... + alpha**4` tokens (lesson 07). The costs are those that you measured. **Predict**: in
# which rows is the speedup below 1?

# %% tags=["timing"]
step = statistics.median(r.seconds for r in plain.rounds[1:])
draft = statistics.median(r.draft_seconds / 4 for r in easy.rounds if len(r.draft_ids) == 4) / step


def speedup(alpha, verify_cost, draft_cost=draft):
    return sum(alpha**k for k in range(5)) / (4 * draft_cost + verify_cost)


scenarios = {
    "easy text (alpha 0.95)": speedup(0.95, verify[1]),
    "usual text (alpha 0.7)": speedup(0.7, verify[1]),
    "hard text (alpha 0.2)": speedup(0.2, verify[1]),
    "usual, drafter 5 times as slow": speedup(0.7, verify[1], 5 * draft),
    "usual, 128 requests at once": speedup(0.7, verify[128]),
}

# %% tags=["timing"]
ax = plots.plot_speeds({name: {"4 drafts": value} for name, value in scenarios.items()})
loses = sum(value < 1 for value in scenarios.values())
ax.set_title(f"Drafting loses in {loses} of {len(scenarios)} cases")
plots.show_figure(ax)

# %% [markdown]
# The last row is this machine's own measurement, with a draft step priced as for one request: an optimistic one.

# %% [markdown]
# ## One laptop, one model, two speedups
#
# Gemma 4 E2B on an Apple M4, one report. In transformers 5.8 on MPS, bf16: 1.25x on JSON, 0.90x on a summary,
# 0.74x in chat, **1.04x** on average over six tasks; five of the six texts differed from plain decoding's. In
# LiteRT-LM on the same laptop, int4: **1.71x** on average over three prompts. **Predict**: which of them is "the
# speedup of E2B"?

# %% [markdown]
# Neither. transformers 5.8 gave the drafter a wrong state for its first draft (transformers#48703), and every
# call of a small model pays for Python; LiteRT-LM has kernels made for this pair. A speedup belongs to model,
# text, machine **and program**. Both figures are from iprajax/gemma4-mtp, `findings.md`.

# %% [markdown]
# ## The checklist
#
# Write down with every number: hardware, dtype, versions, threads, batch, prompts, lengths, draft length,
# temperature, how often and in which order. `python -m gemma_mtp_edu bench` writes this beside its results, and
# measures in turns:

# %%
facts = {
    "pair": pair.name, "dtype": pair.target.dtype, "device": pair.device.type, "batch": 1,
    "torch": torch.__version__, "threads": torch.get_num_threads(), "temperature": 0,
    "prompts": {name: len(prompts) for name, prompts in WORKLOADS.items()}, "tokens": 16,
    "draft length": 4, "order": "in turns, 1 warm-up and 5 counted", "number": "median TPOT",
}  # fmt: skip
print("\n".join(f"{key}: {value}" for key, value in facts.items()))

# %% [markdown]
# ## Change this
#
# - `fair(prompt, tokens=48)`: does the speedup settle as the text gets longer?
# - `gamma=8` in `fair`: which workload gains, which one loses?
# - Run something else beside the notebook: which of your numbers move, medians or spreads?

# %% [markdown]
# ## Takeaways
#
# 1. Warm up, take turns, repeat, compare medians with their spread, over several prompts, on the same text.
# 2. A speedup belongs to a text, a length, a dtype, a batch, a machine and a program: say which. Report TTFT and
#    TPOT apart.
# 3. MTP can lose: with hard texts, expensive drafts, or where many requests make verified tokens expensive.

# %% [markdown]
# ## Exercises
#
# **1.** (hard, 15 minutes) Write the benchmark. `plain()` and `drafted()` each make one run and return its
# seconds. Call each `repeats + 1` times and return the speedup. The check simulates a machine with a slow first
# run, drift and runs that something disturbs; the true speedup is known to it.
#
# <details><summary>Hint</summary>Which of the four suspects does each of these three bring? The drift
# is the one that no statistic mends afterwards.</details>

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def benchmark(plain, drafted, repeats):
    return None  # your code


check("benchmark", benchmark)

# %% [markdown]
# **2.** (easy, 5 minutes) What is wrong with each? Seconds per run. B to E write the same text.
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
# **3.** (medium, 8 minutes) A drafter gives a `speedup` of TPOT. What is the speedup of the whole answer, if it takes
# `prefill` and `decoding` seconds without a drafter?
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
# - iprajax/gemma4-mtp, [`findings.md`](https://github.com/iprajax/gemma4-mtp/blob/main/findings.md): E2B and E4B
#   on a MacBook with an M4, May 2026: tests 1, 1b, 1c and 1d
# - PyTorch, [benchmark recipe](https://pytorch.org/tutorials/recipes/recipes/benchmark.html): warm-up and
#   waiting for the device
#
# [Solutions](solutions_10_measure_honestly.ipynb) · Next: [11 Train a drafter](11_train_a_drafter.ipynb)
