# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/05_same_text.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F05_same_text.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/05_same_text.ipynb)

# %% [markdown]
# # 05 Same text
#
# **Goal**: test what "lossless" promises: for greedy decoding with any drafter, in 16 bit, and for
# sampling. First in the library's own `generate()`, then for the published rule, with its proof.
#
# **Minutes**: 30. **Prerequisites**: lesson 04; what a probability distribution is.

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
import torch

from gemma_mtp_edu import autoregressive_generate, load_pair, plots, speculative_generate

pair = load_pair(PAIR)

# %% [markdown]
# ## Greedy: the same tokens
#
# The verify pass gives the target's argmax at every position, and a draft enters the text only where it is equal
# to that. So in exact arithmetic no draft can change the text. Take the worst drafter imaginable, one that drafts
# four random tokens in each round. **Predict**: how many target passes will a text of n tokens take with it?

# %%
from gemma_mtp_edu.core import ScriptedDrafter

prompt = "Write a JSON record for a person named Ida Berg who is 44 years old."
plain = autoregressive_generate(pair, prompt, max_new_tokens=48)
generator = torch.Generator().manual_seed(0)
noise = torch.randint(10, 500, (60, 4), generator=generator).tolist()
silly = speculative_generate(
    pair, prompt, drafter=ScriptedDrafter(noise), gamma=4, max_new_tokens=48
)

# %%
helped = speculative_generate(pair, prompt, gamma=4, max_new_tokens=48)
for name, trace in (("plain", plain), ("random drafts", silly), ("MTP drafter", helped)):
    same = trace.token_ids == plain.token_ids
    print(f"{name}: same text {same}, {trace.target_passes} target passes")
assert silly.token_ids == plain.token_ids == helped.token_ids or pair.target.dtype.itemsize == 2

# %% [markdown]
# Random drafts save next to nothing: nearly all are rejected, so a pass writes about one token, as a plain decode
# step does. They cost time and change nothing else: a bad drafter can make greedy decoding slower, but not its
# text worse.

# %% [markdown]
# ## 16 bits
#
# In bf16 a number keeps 8 bits of precision. A pass over five tokens adds up in another order than a pass over
# one, so their logits may differ in the last bits. **Predict**: will four texts of 48 tokens still be the same
# with a drafter as without?

# %%
is_narrow = pair.target.dtype.itemsize == 2  # real pairs on a GPU are
narrow = pair if is_narrow else load_pair(PAIR, dtype="bfloat16")
narrow.drafter.generation_config.num_assistant_tokens = 4


def run(text, drafter):
    ids = narrow.encode(text)
    out = narrow.target.generate(
        ids, attention_mask=torch.ones_like(ids), assistant_model=drafter,
        max_new_tokens=48, do_sample=False, output_logits=True, return_dict_in_generate=True,
    )  # fmt: skip
    return out.sequences[0, ids.shape[1] :].tolist(), torch.cat(out.logits).float()


# %% [markdown]
# `generate()` returns the tokens and, with `output_logits`, the logits that each was chosen from. The cell prints
# the index of the first token that differs, or None.

# %%
from gemma_mtp_edu.analysis import first_difference

subjects = ("cook who lost a spoon", "heron", "fox", "shy dragon")
prompts = [f"Tell me a short story about a {subject}." for subject in subjects]
runs = {text: (run(text, None), run(text, narrow.drafter)) for text in prompts}
parted = {text: first_difference(a, b) for text, ((a, _), (b, _)) in runs.items()}
for text, index in parted.items():
    print(index, text)

# %% [markdown]
# Where a text differs, look at the first difference only: after it the two have different texts to go on from. The
# **top-2 margin** is how far the best logit is above the second best. (Where no text differs, the cell takes the
# token with the smallest one.) **Predict**: is it large or small there, compared with other tokens of the text?


# %%
def top2_margin(logits):
    best = logits.topk(2).values
    return float(best[0] - best[1])


# %%
text = next((text for text in prompts if parted[text] is not None), prompts[0])
(alone, one), (_, other) = runs[text]
at = parted[text]
if at is None:
    at = min(range(len(one)), key=lambda i: top2_margin(one[i]))

# %%
margins = sorted(map(top2_margin, one))
apart = float((one[at] - other[at]).abs().max())
print(f"token {at}: margin {top2_margin(one[at]):.4f} without drafter, "
      f"{top2_margin(other[at]):.4f} with one")  # fmt: skip
print(f"largest difference of a logit between the two runs: {apart:.4f}")
print(f"median margin of the text: {margins[len(margins) // 2]:.2f}")
assert parted[text] is None or top2_margin(one[at]) <= 2 * apart

# %% [markdown]
# The assert is no accident. To change the winner, rounding must lower its logit or raise its rival's by at least
# half the margin, so the margin is at most twice the largest difference. Is it rounding, or an error of the loop?
# Take drafter and loop away: let the target read the finished text after the prompt, one token per pass or five,
# in both dtypes. **Predict**: in which are the logits equal to the last digit?

# %%
from gemma_mtp_edu.core import CachedModel

prompt_ids = pair.encode(text)
tokens = torch.tensor([alone], device=pair.device)


@torch.no_grad()
def reread(model, n):
    past, rows = CachedModel(model), []  # lesson 04's steps: prefill, verify, crop
    past.prefill(prompt_ids)
    for piece in tokens.split(n, dim=1):
        rows.append(past.verify(piece).logits)
        past.crop(0)  # nothing is rejected
    return torch.cat(rows).float()


# %%
for model in {pair.target.dtype: pair.target, narrow.target.dtype: narrow.target}.values():
    apart = (reread(model, 1) - reread(model, 5)).abs().amax(dim=1)
    there = f"before token {at}: {apart[at - 1]:.6f}; " if at else ""
    print(f"{model.dtype}: {there}largest of the text: {apart.max():.6f}")
    assert model.dtype.itemsize == 2 or apart.max() < 1e-3

# %% [markdown]
# In neither. But in float32 the logits differ by some millionths, far less than any margin of interest; in
# bf16 by as much as a narrow margin. The passes had the same weights and the same tokens, and there was no drafter.
# So it is rounding, and two other ways to compute the same sums would part, too.

# %% [markdown]
# ## Sampling
#
# With sampling there is no single right text. *Lossless* then means: every text comes with exactly the
# probability that the target alone gives it. Probabilities are made of logits by **softmax**: exponentials,
# divided by their sum. The **temperature** divides the logits before: a low one favours the best tokens, a high
# one flattens the distribution. Call the target's distribution of the next token **p** and the drafter's **q**.

# %%
story = autoregressive_generate(pair, prompts[1], max_new_tokens=40)
ids = torch.tensor([[*story.prompt_ids, *story.token_ids]], device=pair.device)
with torch.no_grad():
    out = pair.target(
        input_ids=ids, use_cache=False, output_hidden_states=True, return_shared_kv_states=True
    )

# %% [markdown]
# Lesson 04's draft step, for any position n: the embedding of the newest token beside the state that predicted it,
# and the keys and values of the tokens before it. (The text is shorter than the sliding window.)


# %%
@torch.no_grad()
def drafter_logits(n):
    """The drafter's logits for the token after the first n: its first draft of a round there."""
    kv = {kind: (k[:, :, : n - 1], v[:, :, : n - 1])
          for kind, (k, v) in out.shared_kv_states.items()}  # fmt: skip
    newest = pair.target.get_input_embeddings()(ids[:, n - 1 : n])
    joined = torch.cat([newest, out.hidden_states[-1][:, n - 2 : n - 1]], dim=-1)
    position = torch.tensor([[n - 1]], device=pair.device)
    step = pair.drafter(inputs_embeds=joined, position_ids=position, shared_kv_states=kv)
    return step.logits[0, -1]


# %% [markdown]
# ## What the library does
#
# transformers drafts the drafter's **most probable** token d. Then `_speculative_sampling` accepts it with
# probability min(1, p(d)/q(d)), as if d had been drawn from q; and if it rejects d, it draws from what p has more
# than q, max(0, p - q), normalised. But d was not drawn: it is the draft in every round. **Predict**: does d come
# too often, too rarely, or just as often as it should?


# %%
def library_emits(p, q):
    """The distribution of the token that comes out of those rules."""
    d = int(q.argmax())
    emitted = torch.zeros_like(p)
    emitted[d] = accepted = min(1.0, float(p[d] / q[d]))
    if accepted < 1:  # q is above p at d, so p is above q elsewhere: the sum is not zero
        left = (p - q).clamp(min=0)
        emitted += (1 - accepted) * left / left.sum()
    return emitted


def p_and_q(n, temperature=1.0):
    logits = (out.logits[0, n - 1] / temperature, drafter_logits(n))
    return tuple(row.double().cpu().softmax(-1) for row in logits)


# %% [markdown]
# Where is the difference large enough to show in a few dozen runs? Look for that position of the story.


# %%
def too_often(n):
    p, q = p_and_q(n)
    d = int(q.argmax())
    sure = p[d] >= q[d]  # then d is always accepted, and 60 runs would show nothing else
    return 0.0 if sure else float(library_emits(p, q)[d] - p[d])


n = max(range(len(story.prompt_ids) + 2, ids.shape[1]), key=too_often)
context = ids[:, :n]
p, q = p_and_q(n)
d = int(q.argmax())
print("after:", repr(pair.decode(context[0, len(story.prompt_ids) :])[-40:]))
print(f"d is {pair.decode([d])!r}: target p(d) = {p[d]:.2f}, drafter q(d) = {q[d]:.2f}")
print(f"by the library's rules it comes with probability {library_emits(p, q)[d]:.2f}")

# %% [markdown]
# That is a formula, read off the source. Now the library itself: run `generate(do_sample=True)` again and again
# and count how often d comes. Its first pass never drafts, so the run starts one token earlier and is forced to
# write the same token there; the next one is the first that was drafted. Three new tokens leave room for one
# draft.

# %%
import transformers

vocabulary = list(range(pair.target.config.get_text_config().vocab_size))
pair.drafter.generation_config.num_assistant_tokens = 1


def first_is_given(_, seen):
    return context[0, -1:].tolist() if len(seen) == n - 1 else vocabulary


def library_share(temperature, runs=60):
    torch.manual_seed(0)
    count = 0
    for _ in range(runs):
        written = pair.target.generate(
            context[:, :-1], attention_mask=torch.ones_like(context[:, :-1]),
            assistant_model=pair.drafter, prefix_allowed_tokens_fn=first_is_given,
            max_new_tokens=3, do_sample=True, temperature=temperature, top_k=0, top_p=1.0,
        )  # fmt: skip
        count += int(written[0, n]) == d
    return count / runs


# %%
share = library_share(1.0)
expected = float(library_emits(p, q)[d])
error = (expected * (1 - expected) / 60) ** 0.5  # standard error of a count of 60 runs
print(f"transformers {transformers.__version__}: d in {share:.0%} of 60 runs; "
      f"by the formula {expected:.0%}; the target alone {float(p[d]):.0%}")  # fmt: skip
print(f"{abs(share - expected) / error:.1f} standard errors from the formula, "
      f"{abs(share - float(p[d])) / error:.1f} from the target")  # fmt: skip

# %% [markdown]
# Too often, and as often as the formula says (four standard errors would be hard to put down to chance). Where
# q(d) is above p(d), d is written with probability p(d)/q(d), which is more than p(d). That is a defect of the
# library for this drafter, not of the method. It was reported as transformers#47932; that issue is closed, yet
# version 5.24.0 still does so. The count tells what the version here does.

# %% [markdown]
# ## At other temperatures
#
# In transformers the temperature, top-k and top-p change the target's logits alone; the q of the rule is made of
# the drafter's raw logits. **Predict**: at a higher temperature, is d further from its right share, or nearer?

# %%
shares = {"target alone": {}, "library, counted": {}, "library, formula": {}}
for temperature in (0.5, 1.0, 2.5):
    p_t, q = p_and_q(n, temperature)
    shares["target alone"][temperature] = float(p_t[d])
    counted = share if temperature == 1 else library_share(temperature)
    shares["library, counted"][temperature] = counted
    shares["library, formula"][temperature] = float(library_emits(p_t, q)[d])
    print(temperature, *(f"{name} {row[temperature]:.2f}  " for name, row in shares.items()))

# %% [markdown]
# With 60 runs a count is off by more than two standard errors, the thin lines in the chart, only once in twenty
# times.

# %%
import matplotlib.pyplot as plt

ax = plt.figure(figsize=(7, 3.4)).gca()
for i, (name, row) in enumerate(shares.items()):
    look = {"fill": False, "hatch": ("", "///", "xx")[i], "label": name}
    places = [at + (i - 1) / 4 for at in range(len(row))]
    ax.bar(places, list(row.values()), 1 / 4, **look)
    if "counted" in name:
        errors = [2 * (x * (1 - x) / 60) ** 0.5 for x in row.values()]
        ax.errorbar(places, list(row.values()), errors, fmt="none", color="black", capsize=3)
ax.set_xticks(range(3), [f"T = {temperature}" for temperature in row])
ax.set(xlabel="temperature", ylabel="probability of d", ylim=(0, 1.05))
most = max(row, key=lambda t: shares["library, formula"][t] - shares["target alone"][t])
ax.set_title(f"d comes in {shares['library, formula'][most]:.0%} of runs instead of "
             f"{shares['target alone'][most]:.0%} at T = {most}")  # fmt: skip
plots.show_figure(plots.tidy(ax, "", plots.listed(shares, "{value:.0%} at {place}")))

# %% [markdown]
# That is one token. The **total variation distance** of two distributions is the largest difference in
# probability that they give to any event: 0 for equal distributions, 1 for disjoint ones. It is half the sum of
# all absolute differences.


# %%
def distance(one, other):
    return float((one - other).abs().sum() / 2)


for temperature in (0.1, 0.5, 1.0, 1.5, 2.5, 10.0):
    p_t, q = p_and_q(n, temperature)
    print(f"T = {temperature}: {distance(library_emits(p_t, q), p_t):.2f} from the target's")

# %% [markdown]
# Only p moves with T, and at both ends the error goes to zero: near T = 0 p is 1 at the target's argmax, and d is
# accepted only if it is that token; at a very high T p(d) is next to nothing, and so is p(d)/q(d). Between them it
# depends on p(d) and q(d): the closer p(d) comes to q(d), the more often d is accepted. From q(d) upwards it is
# always accepted, however small p(d) is.

# %% [markdown]
# ## The right rule
#
# Let drafts be **drawn** from q, and accept x with a probability a(x) that we may choose. Then x comes as an
# accepted draft with probability q(x) a(x). That must not be more than p(x), because a rejection can only add
# to it. So a(x) is at most p(x)/q(x), and at most 1. Larger would be wrong, smaller would waste good drafts:
# a(x) = min(1, p(x)/q(x)). Accepted drafts then give q(x) min(1, p(x)/q(x)) = min(p(x), q(x)).

# %% [markdown]
# How often is a draft rejected? Both p and q sum to 1, so
#
# 1 - Σ min(p, q) = Σ (p - min(p, q)) = Σ max(0, p - q).
#
# And what does p still lack? At each x, p(x) - min(p(x), q(x)) = max(0, p(x) - q(x)). The lacking mass **is** the
# probability of a rejection. So after one, draw from max(0, p - q) divided by that sum, the **residual
# distribution**: the sum cancels, and each x gets exactly what it lacks.

# %%
p, q = p_and_q(n)
accepted = torch.minimum(p, q)
lacking = (p - q).clamp(min=0)
print(f"a draft is rejected with probability {1 - accepted.sum():.4f}")
print(f"p lacks, in all,                     {lacking.sum():.4f}")
assert abs(1 - accepted.sum() - lacking.sum()) < 1e-9
emitted = accepted + (1 - accepted.sum()) * (lacking / lacking.sum())
assert distance(emitted, p) < 1e-9

# %% [markdown]
# One case is left: **p = q**. Then nothing is lacking, and the residual would be 0/0, which is NaN in torch. But
# nothing is ever rejected either, so it is never needed; code must not compute it anyway and multiply it by zero,
# for 0 times NaN is NaN.

# %%
same = torch.tensor([0.5, 0.3, 0.2])
lacking = (same - same).clamp(min=0)
print("residual:", lacking / lacking.sum())
print("times zero:", 0 * (lacking / lacking.sum()))
print("rejected:", 1 - torch.minimum(same, same).sum())

# %% [markdown]
# ## Draw and count
#
# Formulas can be wrong, too. So follow the rule 20,000 times with this p and q, and count.

# %%
p, q = p_and_q(n)
left = (p - q).clamp(min=0)
generator, times = torch.Generator().manual_seed(1), 20_000
drafts = torch.multinomial(q, times, replacement=True, generator=generator)
keep = torch.rand(times, generator=generator) < p[drafts] / q[drafts]
instead = torch.multinomial(left, times, replacement=True, generator=generator)
counts = torch.bincount(torch.where(keep, drafts, instead), minlength=len(p)) / times
print(f"d: counted {counts[d]:.3f}, target {p[d]:.3f}, library's rule {library_emits(p, q)[d]:.3f}")
assert abs(counts[d] - p[d]) < 5 * (p[d] * (1 - p[d]) / times) ** 0.5

# %% [markdown]
# The same for the tokens that matter, d among them.

# %%
best = p.topk(6).indices.tolist()
shown = best if d in best else [*best[:5], d]
names = [repr(pair.decode([t])) + " (draft)" * (t == d) for t in shown]
rules = {"target alone": p, "drawn drafts, counted": counts, "library": library_emits(p, q)}
ax, told = plt.figure(figsize=(7, 3.4)).gca(), {}
for i, (name, probs) in enumerate(rules.items()):
    heights = probs[shown].tolist()
    look = {"fill": False, "hatch": ("", "///", "xx")[i], "label": name}
    ax.bar([at + (i - 1) / 4 for at in range(len(shown))], heights, 1 / 4, **look)
    told[name] = dict(zip(names, heights, strict=True))
ax.set_xticks(range(len(shown)), names)
ax.set(xlabel="next token", ylabel="probability")
ax.set_title(f"Distance from the target: drawn drafts {distance(counts, p):.2f} (sampling noise), "
             f"library {distance(library_emits(p, q), p):.2f}", fontsize=10)  # fmt: skip
plots.show_figure(plots.tidy(ax, "", plots.listed(told, "{place} {value:.0%}")))

# %% [markdown]
# Where the library's bar is missing or tiny, q is above p or close to it: after a rejection it draws from max(0, p
# - q), which is next to zero there, and only d is ever accepted.

# %% [markdown]
# ## From one token to a text
#
# A round has several drafts. **Predict**: after the last of them, if all were accepted, comes the bonus token.
# From which distribution must it be drawn: p, q, or the residual?

# %% [markdown]
# From p itself: no draft stands at that position, so nothing was accepted there yet. Now the whole text. Given the
# text before it, a token is an accepted draft or the residual draw instead, which together give p; or a bonus, from
# p. Drafts after a rejected one are thrown away unseen. So **every token, given those before it, has the target's
# distribution**, and a text the product of them.

# %% [markdown]
# Test it where all texts can be listed: three tokens, and models that see the last token only. Row i of the tables
# holds the probabilities of the token after i. `verify_sampling` is the package's round: the rule above, draft by
# draft, then the residual or the bonus.

# %%
from itertools import product

from gemma_mtp_edu.core import verify_sampling

TARGET = torch.tensor([[0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.3, 0.5, 0.2]], dtype=torch.double)
DRAFTER = torch.tensor([[0.2, 0.2, 0.6], [0.4, 0.3, 0.3], [0.1, 0.8, 0.1]], dtype=torch.double)
generator = torch.Generator().manual_seed(2)


def one_round(last, gamma=2):
    text = [last]
    for _ in range(gamma):
        text.append(int(torch.multinomial(DRAFTER[text[-1]], 1, generator=generator)))
    drafts = torch.tensor(text[1:])
    done = verify_sampling(TARGET[text], DRAFTER[text[:-1]], drafts, generator)
    return [*text[1 : 1 + done.n_accepted], done.next_id]


# %% [markdown]
# 4,000 texts of three tokens after token 0, against the product of the target's probabilities.


# %%
def written(length=3):
    text = [0]
    while len(text) <= length:
        text += one_round(text[-1])
    return tuple(text[1 : 1 + length])


counted = dict.fromkeys(product(range(3), repeat=3), 0.0)
for _ in range(4000):
    counted[written()] += 1 / 4000
exact = {(a, b, c): float(TARGET[0, a] * TARGET[a, b] * TARGET[b, c]) for a, b, c in counted}
apart = sum(abs(counted[text] - exact[text]) for text in exact) / 2
print(f"27 texts: total variation distance {apart:.3f}")
assert apart < 0.06

# %% [markdown]
# For 4,000 draws of 27 texts a distance of two or three hundredths is chance. The drafter's probabilities are
# quite different from the target's, yet they left no trace in the texts.

# %% [markdown]
# ## Change this
#
# With the tables above a round that starts from token 0 writes 1.77 tokens on average. Now give `DRAFTER` equal
# rows of a third: it knows nothing. **Predict**: does the distance grow, and does a round write more tokens or
# fewer? Then make it wrong: draw the drafts from `DRAFTER`, but give `verify_sampling` another q.

# %%
DRAFTER = torch.full((3, 3), 1 / 3, dtype=torch.double)
lengths = [len(one_round(0)) for _ in range(1000)]
print(f"{sum(lengths) / len(lengths):.2f} tokens per round from a drafter that guesses")

# %% [markdown]
# ## Takeaways
#
# 1. Greedy decoding with drafts gives the target's own tokens, for any drafter, in exact arithmetic. In 16 bit
#    look at the top-2 margin before you suspect the loop.
# 2. Sampling is lossless if drafts are drawn from q, accepted with min(1, p/q), and replaced from max(0, p - q):
#    then each token, and each text, has the target's distribution.
# 3. A q that the drafts were not drawn from breaks this: transformers drafts the argmax.

# %% [markdown]
# ## Exercises
#
# **1.** (easy, 5 minutes) Any rule. Drafts are drawn from `q`; `accept[x]` is the probability that a draft x
# is accepted, whatever it was made of; after a rejection the token is drawn from `instead`. Return the
# distribution of the token that comes out.
#
# <details><summary>Hint</summary>A token can come in two ways. How often is the second one taken at
# all?</details>

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def emitted(q, accept, instead):
    return None  # your code


check("emitted", emitted)

# %% [markdown]
# **2.** (hard, 15 minutes) Argmax drafts, without the bias. The draft comes in every round, as in
# transformers. Return the largest probability with which it may be accepted, and the distribution to draw from
# after a rejection, so that the token has distribution `p`. `draft` is a token id.
#
# <details><summary>Hint</summary>Which q has all its mass on the draft? Put it into the rule of this
# lesson. And what if p is 1 for the draft?</details>


# %% tags=["nbval-check-output"]
def argmax_rule(p, draft):
    return None  # your code: accept, instead


check("argmax_rule", argmax_rule)

# %% [markdown]
# **3.** (medium, 20 minutes) A whole round. `q` has a row for each draft, `p` one more; `uniforms` are random
# numbers from 0 to 1, one for each draft. Return how many drafts are accepted, and what the next token is
# drawn from.
#
# <details><summary>Hint</summary>A draft is accepted if its uniform number is below p/q. The first
# rejection ends the round. Which row do you need then, and which one if there was none?</details>


# %% tags=["nbval-check-output"]
def sampling_round(p, q, drafts, uniforms):
    return None  # your code: n_accepted, next_distribution


check("sampling_round", sampling_round)

# %% [markdown]
# ## Sources
#
# - Leviathan, Kalman, Matias 2023, [arXiv:2211.17192](https://arxiv.org/abs/2211.17192), Algorithm 1 and
#   appendix A.1
# - Chen et al. 2023, [arXiv:2302.01318](https://arxiv.org/abs/2302.01318), the same rule found independently
# - [transformers#47932](https://github.com/huggingface/transformers/issues/47932) on the biased sampling (closed)
# - transformers 5.24.0, `_speculative_sampling` and `SinglePositionMultiTokenCandidateGenerator`
#
# [Solutions](solutions_05_same_text.ipynb) · Next: [06 Inside the drafter](06_inside_the_drafter.ipynb)
