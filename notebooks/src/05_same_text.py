# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/05_same_text.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F05_same_text.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/05_same_text.ipynb)

# %% [markdown]
# # 05 Same text
#
# **Goal**: prove what "lossless" means: the same tokens with greedy decoding, the same **law**
# (distribution of tokens) with sampling; and see where 16 bit and the library's sampling break it.
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

from gemma_mtp_edu import autoregressive_generate, load_pair, speculative_generate

pair = load_pair(PAIR)

# %% [markdown]
# ## Greedy: the same tokens
#
# With greedy decoding the claim is sharp: token by token the same text, whatever the drafter says. The worst
# drafter imaginable should change nothing but the time. **Predict**: with random drafts, how many target
# passes will there be?

# %%
from gemma_mtp_edu.core import ScriptedDrafter

prompt = "Write a JSON record for a person named Ida Berg who is 44 years old."
plain = autoregressive_generate(pair, prompt, max_new_tokens=48)
generator = torch.Generator().manual_seed(0)
noise = torch.randint(10, 500, (60, 4), generator=generator).tolist()
silly = speculative_generate(
    pair, prompt, drafter=ScriptedDrafter(noise), gamma=4, max_new_tokens=48
)

# %% tags=["nbval-check-output"]
helped = speculative_generate(pair, prompt, gamma=4, max_new_tokens=48)
for name, trace in (("plain", plain), ("random drafts", silly), ("MTP drafter", helped)):
    same = trace.token_ids == plain.token_ids
    print(f"{name}: same text {same}, {trace.target_passes} target passes")
assert silly.token_ids == plain.token_ids == helped.token_ids or PAIR != "pocket"

# %% [markdown]
# Random drafts save nothing: next to none is accepted, so each pass writes about one token, as in plain
# decoding. They cost time, but they cannot hurt the text. That is why a drafter needs no quality check of
# its own.

# %% [markdown]
# ## 16 bits: the same until a near tie
#
# The claim holds for exact arithmetic. In bf16 a number keeps 8 bits of precision, and a pass over five tokens
# adds up in another order than a pass over one. **Predict**: will the texts still be the same?

# %%
is_narrow = pair.target.dtype.itemsize == 2  # real pairs on a GPU are
narrow = pair if is_narrow else load_pair(PAIR, dtype="bfloat16")
prompts = [
    "Tell me a short story about a heron.",
    "Tell me a short story about a lion named Omar.",
    "Tell me a short story about a cook who lost a spoon.",
    "Tell me a short story about a shy dragon.",
]
start = pair.encode(prompts[0])
runs = []
for text in prompts:
    alone = autoregressive_generate(narrow, text, max_new_tokens=64).token_ids
    runs.append((alone, speculative_generate(narrow, text, gamma=4, max_new_tokens=64).token_ids))
print("same in bf16:", [one == other for one, other in runs])

# %% [markdown]
# Where a text differs, look at the first difference; from there on, each goes its own way. The cell below
# asks the target how far apart its two best tokens were there: the **gap** of their logits (the scores
# before they become probabilities). A small gap is a **near tie**.

# %%
from gemma_mtp_edu.analysis import first_difference


@torch.no_grad()
def top2_margin(ids):
    best = pair.target(input_ids=ids, logits_to_keep=1).logits[0, -1].topk(2).values
    return float(best[0] - best[1])


for text, (one, other) in zip(prompts, runs, strict=True):
    place = first_difference(one, other)
    if place is None:
        print(f"same: {text}")
        continue
    prefix = torch.cat([pair.encode(text), start.new_tensor([one[:place]])], dim=1)
    print(f"differs at token {place}, gap {top2_margin(prefix):.3f}: {text}")

# %% [markdown]
# How large is a usual gap? If differences occur at small gaps only, they are rounding, not an error of the
# loop.

# %%
story = autoregressive_generate(pair, prompts[0], max_new_tokens=48)
gaps = {
    i: top2_margin(torch.cat([start, start.new_tensor([story.token_ids[:i]])], dim=1))
    for i in range(3, len(story.token_ids), 4)  # the first token is the prefill's, never drafted
}
print("gaps along a text:", [round(gap, 1) for gap in gaps.values()])

# %% [markdown]
# With `pocket` most gaps (here at every fourth place) are many times as large as the one where a text differed.
# So that was rounding.

# %% [markdown]
# ## Sampling: the same law
#
# With sampling there is no single right text. *Lossless* then means: each text comes with exactly the
# probability that the target alone would give it. Let us test that at one position: where the gap was smallest,
# because there is something to decide. Call the target's law there **p** and the drafter's **q**: p(d) is the
# probability that the target gives to token d.

# %%
from gemma_mtp_edu.analysis import distributions_after

place = min(gaps, key=gaps.get)
ids = torch.cat([start, start.new_tensor([story.token_ids[:place]])], dim=1)
p, q = distributions_after(pair, ids)
print("after:", repr(pair.decode(ids[0, start.shape[1] :])[-40:]))
for token in p.topk(5).indices.tolist():
    print(f"{pair.decode([token])!r:12} target {p[token]:.2f}, drafter {q[token]:.2f}")

# %% [markdown]
# ## What the library does
#
# transformers drafts the drafter's **most probable** token d (it need not be among the target's five
# above), and accepts it with probability min(1, p(d)/q(d)), as if d had been drawn from q. But d was not
# drawn: it comes every time. **Predict**: does d now come too often or too rarely?

# %%
from gemma_mtp_edu.core import residual_distribution


def library_distribution(p, q):
    """The token that draft and verify write where the draft is always the argmax of q."""
    d = int(q.argmax())
    accepted = min(1.0, float(p[d] / q[d]))
    emitted = (1 - accepted) * residual_distribution(p, q)
    emitted[d] += accepted
    return emitted


def total_variation(one, other):
    return float((one - other).abs().sum() / 2)


biased = library_distribution(p, q)
d = int(q.argmax())
print(f"d is {pair.decode([d])!r}: target p(d) {p[d]:.3f}, drafter q(d) {q[d]:.3f}")
print(f"accepted with min(1, p(d)/q(d)) = {min(1, p[d] / q[d]):.2f}")
print(f"chance of d in the library's assisted sampling: {biased[d]:.2f}")
print(f"total variation from the target's law: {total_variation(biased, p):.3f}")
assert total_variation(biased, p) > 0

# %% [markdown]
# Too often: whenever q(d) is larger than p(d), d is written with p(d)/q(d), which is more than p(d). That
# is a defect of the library, not of the method. It was reported as transformers#47932, which is closed; the cell
# below says what was measured of your release. The **total variation**
# is the largest error in the chance of any event: 0 for equal laws, 1 for disjoint ones.

# %% tags=["nbval-check-output"]
from gemma_mtp_edu.checkup import library_parts

print("assisted sampling without bias:", library_parts().get("samples without bias"))

# %% [markdown]
# ## The right rule
#
# Draw d from q. Accept it with probability min(1, p(d)/q(d)). So d comes through with probability
# q(d) times min(1, p(d)/q(d)), which is min(p(d), q(d)).
#
# What p still lacks is max(0, p - q). If the draft is refused, draw from exactly that, normalised: the
# **residual**. Both parts together are p.

# %% tags=["nbval-check-output"]
from gemma_mtp_edu.analysis import emitted_distribution

error = total_variation(emitted_distribution(p, q), p)
print("total variation of the right rule is below 1e-12:", error < 1e-12)
assert error < 1e-12

# %% [markdown]
# ## As a picture
#
# The target's law, and the two rules' laws beside it, for the tokens that matter.

# %%
import matplotlib.pyplot as plt

from gemma_mtp_edu import plots

shown = p.topk(6).indices.tolist()
names = [repr(pair.decode([t])) for t in shown]
laws = {"target alone": p, "right rule": emitted_distribution(p, q), "library": biased}
ax, told = plt.figure(figsize=(7, 3.2)).gca(), {}
for n, (name, law) in enumerate(laws.items()):
    heights, hatch = law[shown].tolist(), ("", "///", "xx")[n]
    ax.bar([at + n / 4 for at in range(6)], heights, 1 / 4, label=name, hatch=hatch, fill=False)
    told[name] = dict(zip(names, heights, strict=True))
ax.set_xticks([at + 1 / 4 for at in range(6)], names)
ax.set(xlabel="next token", ylabel="probability")
plots.show_figure(plots.tidy(ax, "", plots.listed(told, "{place} {value:.0%}")))

# %% [markdown]
# The right rule's bars equal the target's. The library's bar for d is far too high, and tokens of which q is
# larger than p get nothing: when d is refused the library, too, draws from max(0, p - q), which is zero there.

# %% [markdown]
# ## Draw and count
#
# Formulas can be wrong. So draw many times with the package's rule and count how often d comes.

# %%
from gemma_mtp_edu.core import verify_sampling

generator, times, n = torch.Generator().manual_seed(1), 0, 2000
for _ in range(n):
    drafted = torch.multinomial(q, 1, generator=generator)
    verdict = verify_sampling(torch.stack([p, p]), q[None], drafted, generator)
    times += (int(drafted) if verdict.n_accepted else verdict.next_id) == d
print(f"counted {times / n:.3f}, target {float(p[d]):.3f}, library {float(biased[d]):.3f}")
assert abs(times / n - p[d]) < 5 * (p[d] * (1 - p[d]) / n) ** 0.5

# %% [markdown]
# ## Change this
#
# Raise or lower the **temperature**, which divides the logits: a low one favours the best tokens, a high one
# evens out all chances. **Predict**: does the library's error grow with the temperature? Run, then add
# temperatures between 1 and 2.5.

# %%
for temperature in (0.5, 1.0, 1.5, 2.5):
    p_t, q_t = distributions_after(pair, ids, temperature)
    wrong = total_variation(library_distribution(p_t, q_t), p_t)
    right = total_variation(emitted_distribution(p_t, q_t), p_t)
    print(f"temperature {temperature}: library {wrong:.3f}, right rule {right:.3f}")

# %% [markdown]
# It is largest at neither end, and never zero. The right rule's is zero at every temperature.

# %% [markdown]
# ## Takeaways
#
# 1. Greedy decoding with drafts gives the same tokens, in exact arithmetic, for any drafter.
# 2. In 16 bit a near tie may fall the other way; look at the gap before you suspect the loop.
# 3. Sampling is lossless only if q is the law that drafts were really drawn from, and refused drafts are
#    replaced from max(0, p - q).

# %% [markdown]
# ## Exercises
#
# **1.** Write the residual distribution.
#
# <details><summary>Hint</summary>Negative differences count as zero, and a law sums to one.
# <code>clamp</code> helps.</details>

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def residual(p, q):
    return None  # your code


check("residual", residual)

# %% [markdown]
# **2.** Write the law of the token that draft, verify and correct give together, from p and q: accepted
# mass plus refused mass times residual. `gemma_mtp_edu.core.verification` has `residual_distribution`.
#
# <details><summary>Hint</summary>A token is drafted and accepted with probability min(p, q). What is left
# of 1 is refused.</details>


# %% tags=["nbval-check-output"]
def emitted(p, q):
    return None  # your code


check("emitted", emitted)

# %% [markdown]
# ## Sources
#
# - Leviathan, Kalman, Matias 2023, [arXiv:2211.17192](https://arxiv.org/abs/2211.17192), Algorithm 1 and
#   appendix A.1
# - Chen et al. 2023, [arXiv:2302.01318](https://arxiv.org/abs/2302.01318), the same rule found independently
# - [transformers#47932](https://github.com/huggingface/transformers/issues/47932) on the biased sampling
#
# Solutions: `solutions_05_same_text`. Next: `06_inside_the_drafter`.
