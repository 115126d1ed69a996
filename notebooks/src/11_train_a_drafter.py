# %% [markdown] tags=["buttons"]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/11_train_a_drafter.ipynb)
# [![Launch on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/gemma-mtp-edu/gemma_mtp_edu/main?labpath=notebooks%2F11_train_a_drafter.ipynb)
# [![View on GitHub](https://img.shields.io/badge/View_on-GitHub-181717?logo=github)](https://github.com/gemma-mtp-edu/gemma_mtp_edu/blob/main/notebooks/11_train_a_drafter.ipynb)

# %% [markdown]
# # 11 Train a drafter
#
# **Goal**: make a drafter from random weights that is useful after two minutes; see what it must learn, what
# happens on texts that it has not seen, and what the same costs for a real pair.
#
# **Minutes**: 30. **Prerequisites**: lessons 03, 05 and 08, and what a loss and a gradient step are;
# lesson 06 helps.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
from importlib.util import find_spec

find_spec("gemma_mtp_edu") or get_ipython().run_line_magic("pip", "install -q --no-deps git+https://github.com/gemma-mtp-edu/gemma_mtp_edu")  # fmt: skip
from gemma_mtp_edu import lesson  # not found? the line above fetches it: switch the internet on

lesson.setup()

# %%
PAIR = "pocket"  # @param ["pocket", "E2B", "E4B", "12B", "26B-A4B", "31B"]

# %% [markdown]
# **How long**: 45 steps take a quarter of a minute on two CPU cores, and that is what the tests and the stored
# outputs have. They show that it works. Set 400 for a drafter that is worth something: about two minutes, and
# one and a half more for the repair further down.

# %%
STEPS = 45  # @param {type:"integer"}

# %%
from gemma_mtp_edu import ModelPair, load_pair

pair = load_pair(PAIR)
bundled = PAIR == "pocket"

# %% [markdown]
# ## What does it learn from?
#
# A drafter is right when it guesses what **this** target writes. Not what is true, not what is good style. So
# its lessons are the target's own answers.
#
# **Predict**: to guess a target's records and counts, does a drafter need millions of them?

# %%
people = ["Ida Berg", "Bolt Reyes", "Mira Okoye", "Otto Lang", "Nora Quist", "Finn Abara"]
cities = ["Lima", "Oslo", "Cairo", "Kyoto"]
records = [
    f"Write a JSON record for a person named {name} who is {20 + 3 * i + j} years old and lives in {city}."
    for i, name in enumerate(people)
    for j, city in enumerate(cities)
]
prompts = records + [f"Count from {start} to {start + 12}." for start in range(1, 25)]
print(len(prompts), "prompts, such as:", prompts[5])

# %% [markdown]
# The target answers them, several at a time. Held-out prompts are answered too: the drafter is judged by those
# and never trained on them. They choose a little, too: the weights of the best evaluation are kept.

# %%
from gemma_mtp_edu.training.target_texts import held_out_texts, target_texts

held_out_prompts = [
    "Write a JSON record for a person named Vera Novak who is 31 years old and lives in Quito.",
    "Write a JSON record for a person named Ida Stone who is 52 years old and lives in Rome.",
    "Count from 30 to 44.",
    "Count from 28 to 40.",
]
assert not set(held_out_prompts) & set(prompts)
texts = target_texts(pair, prompts, max_new_tokens=48, batch_size=16 if bundled else 2)
held_out = held_out_texts(pair, held_out_prompts, max_new_tokens=48)

# %% [markdown]
# Read one before you train on its like. A target that writes nonsense has a drafter that guesses nonsense.

# %%
print(held_out[0].text)
print(sum(int(batch.is_answer.sum()) for batch in texts), "answer tokens to learn from")

# %% [markdown]
# ## A drafter that knows nothing
#
# Its sizes are ours, but for three that the target dictates. Which three? Lesson 02 had them: the vocabulary,
# the width of the hidden state that it gets, and the size of the KV heads that it reads.

# %%
from gemma_mtp_edu.training.new_drafter import DrafterShape, new_drafter
from gemma_mtp_edu.training.target_texts import evaluate_drafter
from gemma_mtp_edu.training import Plan

shape = (
    DrafterShape()
    if bundled
    else DrafterShape(hidden_size=256, intermediate_size=1024, centroids=0)
)
fresh = ModelPair(
    pair.target, new_drafter(pair.target, shape), processor=pair.processor, name="fresh"
)
plan = Plan(steps=STEPS, check_every=max(1, STEPS // 3))

# %% [markdown]
# **Predict** its acceptance, before a single step.

# %% tags=["nbval-check-output"]
before = evaluate_drafter(fresh, held_out, plan.gamma)
print(f"accepted before training: {before.acceptance:.0%}")
assert before.acceptance < 0.05

# %% [markdown]
# ## Does it fit?
#
# The laws over the vocabulary outweigh the model. Every token has one from the target. For each answer token and
# each draft step there are four arrays of that size: the logits, their log probabilities, and a gradient of
# each. With a real pair every one of them holds 262,144 numbers.

# %% tags=["timing"]

largest = max(texts, key=lambda batch: batch.input_ids.numel())
tokens, answers = largest.input_ids.numel(), int(largest.is_answer.sum())
vocabulary = pair.target.config.get_text_config().vocab_size
weights = sum(p.numel() for p in fresh.drafter.parameters())
float32 = 4  # bytes
needs = {
    "target's weights": sum(p.numel() * p.element_size() for p in pair.target.parameters()),
    # Weights, gradients, and up to two states of an optimizer.
    "drafter, gradients, optimizer": float32 * 4 * weights,
    "target's laws": float32 * tokens * vocabulary,
    "drafter's laws": float32 * 4 * answers * plan.unroll * vocabulary,
}
for what, size in {**needs, "together, at least": sum(needs.values())}.items():
    print(f"{what:30} {size / 1e9:8.2f} GB")

# %% [markdown]
# ## What one step does
#
# 1. The target reads the texts once. It hands over hidden states, shared KV, and its law of the next token.
# 2. The drafter drafts from **every** answer token at once, four steps deep. A mask hides the KV that would not
#    be there yet.
# 3. The loss (a cross-entropy) compares its law with the target's; one optimizer step follows.
#
# The target is frozen, so its part can be made once and kept, if memory allows.

# %%
from gemma_mtp_edu.training import distillation_batch

given = [distillation_batch(pair.target, batch) for batch in texts] if bundled else texts

# %% [markdown]
# **Predict**: which number rises first, that of the training texts or that of the held-out ones?

# %%
from gemma_mtp_edu.training import shuffled, train

training = train(fresh, shuffled(given), plan, held_out=held_out)
for done in training.evaluations:
    seen = f"{done.agreement[0]:.0%}" if done.agreement else "-"
    print(
        f"step {done.step:4}: first draft right in training {seen:>4}, "
        f"held-out accepted {done.acceptance:.0%}, {done.tokens_per_round:.2f} tokens per round"
    )

# %% [markdown]
# Both rise, and the training texts stay ahead. But the columns are not one measure: the left is the first draft,
# averaged since the row before; the right is all drafts, now. So judge some training texts by the right one, too.

# %%
trained_on = held_out_texts(pair, [*records[:2], *prompts[-2:]], max_new_tokens=48)
after = evaluate_drafter(fresh, held_out, plan.gamma)
known = evaluate_drafter(fresh, trained_on, plan.gamma)
print(
    f"accepted: {known.acceptance:.0%} on training texts, {after.acceptance:.0%} on held-out ones"
)

# %% [markdown]
# What is between the two was learned by heart. The held-out one counts, for nothing in it was trained on.

# %% tags=["nbval-check-output"]
print("acceptance rose:", after.acceptance > before.acceptance + 0.2)
print("rounds got longer:", after.tokens_per_round > before.tokens_per_round + 0.5)
assert after.acceptance > before.acceptance + 0.2

# %%
from gemma_mtp_edu import plots

axes = "training step", "held-out acceptance"
curve = {done.step: done.acceptance for done in training.evaluations}
own = {"bundled drafter": evaluate_drafter(pair, held_out, plan.gamma).acceptance}
plots.show_figure(plots.lines_chart({"this drafter": curve}, *axes, own))

# %% [markdown]
# The dotted line is the drafter that came with the pair, which was trained on many prompts of these kinds. What is
# missing is steps and texts, not another method: the bundled one was made by the same code. But for so narrow a
# kind of text 48 answers went a long way; nobody needed millions.

# %% [markdown]
# ## The library runs it
#
# A drafter that only our own loop could run would prove little. So save it, load it as any other, and give it to
# transformers' own `generate(assistant_model=...)`.

# %% tags=["nbval-check-output"]
import tempfile

from transformers import AutoModelForCausalLM

from gemma_mtp_edu import autoregressive_generate, reference_generate

folder = tempfile.mkdtemp()
fresh.drafter.save_pretrained(folder)
saved = AutoModelForCausalLM.from_pretrained(folder, dtype=pair.target.dtype).to(pair.device)
loaded = ModelPair(pair.target, saved, processor=pair.processor, name=PAIR)
plain = autoregressive_generate(pair, "Count from 7 to 19.", max_new_tokens=48)
assisted = reference_generate(loaded, "Count from 7 to 19.", max_new_tokens=48)
print("the same text:", assisted.token_ids == plain.token_ids)
print("fewer target passes:", assisted.target_passes < plain.target_passes)

# %% [markdown]
# ## Texts that it has not seen
#
# It knows records and counts. **Predict** what becomes of acceptance, and of the text, when you ask for code.

# %%
code = ["Write a Python function that returns the sum of two numbers.",
        "Write a Python function that counts the vowels in a text.",
        "Write a Python function that returns the largest of three numbers."]  # fmt: skip
held_out_code = held_out_texts(pair, code, max_new_tokens=48)
shifted = evaluate_drafter(fresh, held_out_code, plan.gamma)
print(f"code accepted: {shifted.acceptance:.0%}, {shifted.tokens_per_round:.2f} tokens per round")

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import speculative_generate

drafted = speculative_generate(fresh, code[0], max_new_tokens=48)
print("the text is still right:", drafted.token_ids == held_out_code[0].token_ids)
print("acceptance fell:", shifted.acceptance < after.acceptance - 0.1)
# 16 bit rounds: there a near tie may fall the other way (lesson 05).
assert drafted.token_ids == held_out_code[0].token_ids or pair.target.dtype.itemsize < 4

# %% [markdown]
# A drafter that is out of its depth costs time, never truth. And it is repaired as it was made: some texts of the
# new kind, beside the old ones, lest it forget them.

# %%
values = ["sum", "product", "difference", "average", "minimum", "maximum"]
inputs = ["two numbers", "three numbers", "a list of numbers"]
functions = [
    f"Write a Python function that returns the {v} of {i}." for v in values for i in inputs
]
functions = [prompt for prompt in functions if prompt not in code]
code_texts = target_texts(pair, functions, max_new_tokens=48, batch_size=16 if bundled else 2)
code_given = (
    [distillation_batch(pair.target, batch) for batch in code_texts] if bundled else code_texts
)

# %% [markdown]
# **Predict**: fewer steps than the first time, or more? It has learned more than records: how to read the hidden
# state and the KV.

# %%
repair_plan = Plan(steps=STEPS * 2 // 3, check_every=max(1, STEPS // 3))
repair = train(fresh, shuffled(given + code_given), repair_plan, held_out=held_out_code)
curves = {
    "records and counts, judged by such": curve,
    "then code too, judged by code": {done.step: done.acceptance for done in repair.evaluations},
}
plots.show_figure(plots.lines_chart(curves, *axes))

# %% [markdown]
# Each line is judged by held-out texts of its own kind and counts its own steps. More, here: after as many steps
# code is accepted less often than records and counts were. Only two of the five batches are code, and one of
# those holds a single text.
#
# Did it pay for the new texts with the old ones?

# %% tags=["nbval-check-output"]
repaired = evaluate_drafter(fresh, held_out_code, plan.gamma)
remembered = evaluate_drafter(fresh, held_out, plan.gamma)
print("code is accepted again:", repaired.acceptance > shifted.acceptance + 0.1)
print("records and counts are not forgotten:", remembered.acceptance > 0.2)
assert repaired.acceptance > shifted.acceptance + 0.1

# %%
print(f"records and counts: {after.acceptance:.0%} before, {remembered.acceptance:.0%} now")

# %% [markdown]
# ## Change this
#
# - `STEPS = 400`: how near does it come to the dotted line?
# - `Plan(loss="acceptance")` takes the chance of a rejection (exercise 1) as its loss. From random weights it
#   starts slowly. Why? Look at its gradient where the two laws have nothing in common.
# - `DrafterShape(layers=2)`: half the layers. How much sooner is a draft, and does acceptance fall by half?
# - `train(..., folder=...)` writes checkpoints: interrupt it and call it again, and it goes on.

# %% [markdown]
# ## Takeaways
#
# 1. A drafter is taught the target's law on the target's own texts; the target stays as it is.
# 2. It must be trained with what it will see in a run: earlier KV only, one position, its own hidden state.
# 3. On texts of another kind acceptance falls, the text never does; more training repairs it.

# %% [markdown]
# ## Exercises
#
# **1.** Lossless sampling keeps a draft `x` with probability min(1, p(x)/q(x)). How often is a draft **refused**,
# over all tokens? Write it for two laws given as lists.
#
# <details><summary>Hint</summary>q(x) times min(1, p(x)/q(x)) is min(p(x), q(x)).</details>

# %% tags=["nbval-check-output"]
from gemma_mtp_edu import check


def refused(p, q):
    return None  # your code


check("rejection_probability", refused)

# %% [markdown]
# **2.** Write the mask of sliding attention: with the newest token at place `newest` and a window of 4, the four
# tokens before it, is the KV at place `key` seen?
#
# <details><summary>Hint</summary>The newest token's own KV does not exist yet.</details>

# %% tags=["nbval-check-output"]


def seen(newest, key):
    return None  # your code


check("may_see", seen)

# %% [markdown]
# ## Sources
#
# - Zhou et al. 2023, DistillSpec, [arXiv:2310.08461](https://arxiv.org/abs/2310.08461): on-policy texts, and losses
# - Leviathan et al. 2023, [arXiv:2211.17192](https://arxiv.org/abs/2211.17192), corollary 3.6: acceptance from the
#   two laws
# - transformers 5.22.2, `Gemma4AssistantForCausalLM`
#
# Solutions: `solutions_11_train_a_drafter`. Next: `12_real_checkpoints`.
