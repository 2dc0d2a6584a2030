"""Write results/README.md and the generated parts of README.md out of the tables alone."""

import re
from pathlib import Path

import numpy as np

from experiments.harness import tables
from experiments.harness.claims import FAILED, RULES, say_p
from experiments.harness.comparison import compare
from experiments.harness.errors import InputError
from experiments.harness.statistics import verdict

FILES = {
    "baseline.csv, visible.csv, hidden.csv, control.csv": (
        "repeat and fold",
        "`experiment`; `repeat`, `fold` from 1, the same splits for all arms; `n_train`, "
        "`n_test` rows; `accuracy`, `log_loss` on the fold held out; `train_accuracy`, "
        "`train_log_loss` on the rows trained on, dropout off; `collapsed` 1 if the network "
        "gives one class for every training row, or its loss is not finite",
    ),
    "summary.csv": (
        "arm",
        "`repeats`, `folds`; `mean_accuracy`; `std_accuracy`, the standard deviation over all "
        "folds with their number as divisor, as the tutorial prints it: not a standard error; "
        "`published_2016`, `published_2017`, the tutorial's means",
    ),
    "curves.csv": (
        "arm and epoch",
        "mean over networks of `accuracy`, `log_loss` (held out), `train_accuracy`, "
        "`train_log_loss`, and their 10th (`_low`) and 90th (`_high`) percentile",
    ),
    "context.csv": (
        "repeat and fold",
        "`accuracy` of always guessing the commoner class (`majority`) and of a support "
        "vector machine (`svc`: RBF kernel, scikit-learn's defaults) on the arms' splits",
    ),
    "remedies.csv": (
        "setting, repeat and fold",
        "the hidden arm at other learning rates and numbers of `epochs`; columns as an arm's",
    ),
    "comparison.csv": (
        "pair of arms",
        "`family` of pairs; `difference` in points, first less second; `these_…` on these "
        "rows: 95% interval, p, p after Holm's correction over the family, verdict, and as "
        "`these_family_…` an interval of 95% for the whole family at once (Bonferroni); "
        "`new_…` the same for new rows",
    ),
    "claims.csv": (
        "claim",
        "`published`; `found` in words, `estimate` with its 95% interval `low`, `high` in "
        "percent or points (of a tip: of the setting that speaks most for it) and "
        "`these_verdict`, on these rows; `found_new`, `new_low`, `new_high`, `new_verdict` "
        "for new ones",
    ),
    "tips.csv": (
        "tip and setting",
        "the factors that the tip varies; `setting`, its number in `tips.json` and "
        "`tips-folds.csv`; means and standard deviations over `networks` of `accuracy` and "
        "`train_accuracy`, `standard_error` of the mean accuracy over folds, mean log losses, "
        "`collapsed` networks",
    ),
    "tips-folds.csv": ("setting, repeat and fold", "as an arm's"),
    "tips-comparison.csv": (
        "claim and pair of settings",
        "`claim`, its `tip` and `direction`; `networks` on either side, of them "
        "`first_collapsed`, `second_collapsed`; the rest as `comparison.csv`",
    ),
    "evaluation.csv": ("observation", "its `value`; the page says each in words"),
    "evaluation-outputs.csv": (
        "row of one held-out fold",
        "`evaluation` output, and over 1,000 training-mode passes `mean`, `low` (10th "
        "percentile), `high` (90th)",
    ),
    "evaluation-folds.csv": (
        "repeat and fold",
        "as an arm's; `dropout_accuracy`, `dropout_log_loss` with dropout kept on, averaged",
    ),
    "tuning.csv": (
        "outer fold and candidate",
        "`fold`, 0 where it is all rows; mean and standard deviation of `accuracy`, mean "
        "`log_loss` over the inner folds; `collapsed` networks; `chosen` 1 for the one that was; "
        "the settings",
    ),
    "tuned.csv": (
        "outer fold",
        "`accuracy`, `log_loss` of the chosen settings on the rows held out, "
        "`baseline_accuracy`, `baseline_log_loss` of the untuned baseline; `inner_accuracy` that "
        "the choice was made by; `with_dropout_…`, `without_dropout_…`: the best candidate of "
        "either kind and its accuracy on the rows held out; `candidate` chosen, its settings",
    ),
    "validation.csv": (
        "arm",
        "mean accuracy by either engine on the same splits (`stacked_seeds` networks a fold by "
        "the stacked one), their `difference`, its "
        "`standard_error` (from the differences by fold), `within_two` of it",
    ),
    "validation-search.csv": (
        "setting of a small grid",
        "mean accuracy over folds by `StackedSearchCV` and by `GridSearchCV`, their "
        "`difference`, its `standard_error`, p after Holm's correction",
    ),
    "predictions.csv": (
        "row of the table",
        "its `line` in the file, `class`, and the probability of the second class",
    ),
    "benchmark.csv": (
        "way and number of networks",
        "`process_seconds` of the whole process, `training_seconds` of it, "
        "`peak_memory_mib` of the largest process; `extrapolated` 1: the row of 10 networks "
        "with its training ten times as long",
    ),
}


def check_tables(results: Path) -> None:
    """Read every table that is there, but for the one that the report itself makes.

    Raises
    ------
    InputError
        If one of them is broken.
    """
    names = [name.removesuffix(".csv") for each in FILES for name in each.split(", ")]
    for name in names:
        if name != "claims" and (results / f"{name}.csv").exists():
            tables.read_table(results, name)


def fill(page: str, parts: dict[str, str]) -> str:
    """Replace what stands between the markers ``<!-- name -->`` and ``<!-- /name -->``.

    Raises
    ------
    InputError
        If a pair of markers is missing.
    """
    for name, text in parts.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(page):
            raise InputError(f"README.md has lost its markers <!-- {name} --> <!-- /{name} -->")
        page = pattern.sub(lambda match, text=text: match[1] + text + match[2], page)
    return page


def readme_parts(results: Path) -> dict[str, str]:
    """Make the generated parts of README.md, as far as their tables are there."""
    parts = {}
    if (results / "summary.csv").exists():
        parts["accuracy"] = _accuracy_table(results)
    if (results / "claims.csv").exists():
        parts["answers"] = _answers(results)
        parts["claims"] = _claims_table(results)
    if (results / "benchmark.csv").exists():
        parts["speed"] = _speed_table(results)
    return parts


def results_page(results: Path) -> str:
    """Make results/README.md."""
    names = [
        "summary",
        "claims",
        "comparison",
        "remedies",
        "validation",
        "benchmark",
        "curves",
        "tips",
        "evaluation",
        "tuned",
    ]
    there = {name: (results / f"{name}.csv").exists() for name in names}
    page = [
        "# Results\n",
        "Generated by `make report` from the tables beside it; do not edit.\n",
    ]
    if there["comparison"] and there["claims"]:
        page += ["## Answers\n", _answers(results)]
        page += ["## The tutorial's claims\n", _claims_table(results), RULES + "\n"]
    if there["summary"]:
        page += [
            "## Accuracy\n",
            "Mean (standard deviation over all folds), as the tutorial prints it.\n",
            _accuracy_table(results),
            _figure(results, "accuracy", "Every dot is one 10-fold cross-validation, the result "
                    "that the tutorial's reader would have seen; the line is the mean of all. "
                    "Diamonds and squares are the tutorial's published single runs."),
        ]  # fmt: skip
    if there["comparison"]:
        page += ["## Differences\n", _comparison_table(results, ["arms", "context"])]
        page += [
            _figure(results, "differences", "Thick: on these rows, averaged over splits and "
                    "seeds. Thin: for new rows, corrected for the rows that training sets "
                    "share. More repeats shorten the thick bars only.")
        ]  # fmt: skip
    if there["curves"]:
        page += [
            "## Learning curves\n",
            _figure(results, "curves", "Mean over all networks, and the band that holds the "
                    "middle 80% of them, after every epoch with dropout off. "
                    "Where the mean leaves its band, a few networks pull it away."),
        ]  # fmt: skip
    if there["remedies"] and there["comparison"]:
        families = ["remedies", "remedies on hidden"]
        page += ["## Can the hidden arm be mended?\n", _comparison_table(results, families)]
    if there["tips"]:
        page += ["## The tips, one by one\n", _tips_section(results)]
    if there["evaluation"]:
        words = "\n".join(f"- {line}" for line in evaluation_words(results)) + "\n"
        page += [
            "## Dropout in training and at evaluation\n", words,
            _figure(results, "evaluation", "A hidden arm's network on the rows of a fold that it "
                    "never saw: 1,000 passes in training mode against the evaluation output."),
        ]  # fmt: skip
    if there["tuned"]:
        words = "\n".join(f"- {line}" for line in tuning_words(results)) + "\n"
        page += [
            "## Tuned by nested cross-validation\n", words,
            _figure(results, "tuning", "Every candidate on all rows, by its dropout on the inputs "
                    "and on the hidden layers; the diamond is the candidate chosen."),
            _figure(results, "tuned", "What the search chose in each outer fold."),
        ]  # fmt: skip
    if there["validation"]:
        page += ["## The stacked engine against the tutorial's way\n", _validation_table(results)]
    if there["benchmark"]:
        page += ["## Speed\n", _speed_table(results)]
    page += ["## How each number was made\n", _making(results)]
    page += ["## Files and columns\n", _files(results)]
    if _record(results)["data"]["sha256"] == tables.SONAR_SHA256:
        page += ["## Deviations and open questions\n", _questions(results)]
    return "\n".join(part.rstrip("\n") + "\n" for part in page if part)


def _answers(results):
    comparison = tables.read_table(results, "comparison").set_index(["first", "second"])
    summary = tables.read_table(results, "summary").set_index("experiment")
    context = tables.read_table(results, "context").groupby("experiment")["accuracy"].mean()
    claims = tables.read_table(results, "claims")
    number = tables.read_record(results, "baseline")["data"]["rows"]

    def said(first, second):
        pair = comparison.loc[(first, second)]
        size = f"{abs(pair['difference']):.1f} points"
        words = {"better": f"better by {size}", "worse": f"worse by {size}"}
        close = f"{pair['these_verdict']}, at {pair['difference']:+.1f} points"
        on_these = words.get(pair["these_verdict"], close)
        return (
            f"*{on_these}* on these {number} rows ({pair['these_low']:+.1f} to "
            f"{pair['these_high']:+.1f}; p {say_p(pair['these_p_holm'])}), "
            f"*{pair['new_verdict']}* for new ones "
            f"({pair['new_low']:+.1f} to {pair['new_high']:+.1f})"
        )

    def in_short(pairs):
        verdicts = {comparison.loc[pair, "these_verdict"] for pair in pairs}
        if "better" in verdicts:
            return "In part, on these rows" if "worse" in verdicts else "Yes, on these rows"
        return "No, on these rows" if "worse" in verdicts else "It cannot be told from these rows"

    best = summary["mean_accuracy"].idxmax()
    tips = claims[claims["claim"].str.startswith("Tip")]
    first = claims[~claims.index.isin(tips.index)]
    (last,) = first[first["claim"].str.startswith("A single run")].to_dict("records")
    results_said = first[:3]
    held, against, close = (
        (results_said["these_verdict"] == verdict).sum()
        for verdict in ("reproduced", "contradicted", "too close to call")
    )
    in_a_word = "Yes" if held == len(results_said) else "Partly" if held else "No"
    if close == len(results_said):
        in_a_word = "It cannot be told"
    lines = [
        "**Does the tutorial reproduce?** "
        f"{in_a_word}: of its {len(results_said)} results {held} reproduced, {against} "
        f"contradicted, {close} too close to call, on these rows.",
        *(f"  - {row.claim}: *{row.these_verdict}*, {row.found}."
          for row in results_said.itertuples()),
        f"  - {last['claim']}: *{last['these_verdict']}*, {last['found']}.",
        "**Does dropout help here?** "
        + in_short([("visible", "control"), ("hidden", "control")])
        + ". Against the control, which shares all the other settings:",
        f"  - 20% on the inputs: {said('visible', 'control')}.",
        f"  - 20% on the hidden layers: {said('hidden', 'control')}.",
        "**What do the tutorial's other changes do?** Control against baseline, neither with "
        f"dropout: {said('control', 'baseline')}.",
        "**Is any of it better than a support vector machine?** That one, with scikit-learn's "
        f"defaults, reaches {100 * context['svc']:.1f}%, always guessing the commoner class "
        f"{100 * context['majority']:.1f}%. {in_short([(best, 'svc')])}. The best arm, {best} at "
        f"{100 * summary.loc[best, 'mean_accuracy']:.1f}%: {said(best, 'svc')}.",
    ]  # fmt: skip
    if len(tips):
        record = tables.read_record(results, "tips")
        collapsed = tables.read_table(results, "tips").drop_duplicates("setting")["collapsed"]
        lines.append(
            f"**Which of the tips hold here?** On these rows, with {record['repeats']} runs of "
            f"{record['folds']} folds a setting, around the control's settings, tips 1 to 3 at a "
            f"learning rate of 0.01, too. {collapsed.sum():,} of "
            f"{record['repeats'] * record['folds'] * len(collapsed):,} networks collapsed:"
        )
        for verdict, some in tips.groupby("these_verdict", sort=False):
            which = "; ".join(claim.removeprefix("Tip ") for claim in some["claim"])
            lines.append(f"  - *{verdict}*: {which}.")
    lines = [line if line.startswith("  - ") else f"- {line}" for line in lines]
    return "\n".join(lines) + "\n"


def _accuracy_table(results):
    summary = tables.read_table(results, "summary")
    data = tables.read_record(results, summary["experiment"].iloc[0])["data"]
    figures = tables.read_published(data["sha256"]).set_index(["experiment", "edition"])
    if figures.empty:
        lines = [f"| arm | accuracy | runs of {summary['folds'].iloc[0]} folds |", "|---|---|---|"]
        lines += [
            f"| {row.experiment} | **{row.mean_accuracy:.2%}** ({row.std_accuracy:.2%}) "
            f"| {row.repeats} |" for row in summary.itertuples()
        ]  # fmt: skip
        return "\n".join(lines) + "\n"
    lines = [
        "| arm | 2016 (Keras 1) | 2017 (Keras 2.0.2) | current text | ours | runs of "
        f"{summary['folds'].iloc[0]} folds |",
        "|---|---|---|---|---|---|",
    ]
    for row in summary.itertuples():
        cells = []
        for edition in ("2016", "2017"):
            if (row.experiment, edition) in figures.index:
                mean, deviation = figures.loc[
                    (row.experiment, edition), ["mean_accuracy", "std_accuracy"]
                ]
                cells.append(f"{mean:.2%} ({deviation:.2%})")
            else:
                cells.append("")
        known = (row.experiment, "current") in figures.index
        cells.append(f"“{figures.loc[(row.experiment, 'current'), 'text']}”" if known else "")
        ours = f"**{row.mean_accuracy:.2%}** ({row.std_accuracy:.2%})"
        lines.append(f"| {row.experiment} | {' | '.join(cells)} | {ours} | {row.repeats} |")
    return "\n".join(lines) + "\n"


def _claims_table(results):
    lines = [
        "| the tutorial's claim | found on these rows | verdict | for new rows | verdict |",
        "|---|---|---|---|---|",
    ]
    for row in tables.read_table(results, "claims").itertuples():
        found_new = row.found_new if isinstance(row.found_new, str) else ""
        lines.append(
            f"| {row.claim} | {row.found} | *{row.these_verdict}* "
            f"| {found_new} | *{row.new_verdict}* |"
        )
    return "\n".join(lines) + "\n"


def _comparison_table(results, families):
    comparison = tables.read_table(results, "comparison")
    lines = [
        "Differences in accuracy, points, with 95% intervals, each pair's own; p and verdicts "
        "after Holm's correction over the pairs of one question.\n",
        "| | difference | on these rows | p | verdict | for new rows | p | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in comparison[comparison["family"].isin(families)].itertuples():
        lines.append(
            f"| {row.first} − {row.second} | {row.difference:+.2f} "
            f"| {row.these_low:+.2f} to {row.these_high:+.2f} | {say_p(row.these_p_holm)} "
            f"| *{row.these_verdict}* | {row.new_low:+.1f} to {row.new_high:+.1f} "
            f"| {say_p(row.new_p_holm)} | *{row.new_verdict}* |"
        )
    return "\n".join(lines) + "\n"


def _validation_table(results):
    rows = tables.read_table(results, "validation")
    lines = [
        "Mean accuracy on the same splits; the networks' random numbers differ, and every fold "
        f"is trained {rows['stacked_seeds'].iloc[0]} times by the stacked engine, once by the "
        "other. The difference should lie within two standard errors.\n",
        "| arm | runs | stacked | scikit-learn | difference, points | standard error |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows.itertuples():
        lines.append(
            f"| {row.experiment} | {row.repeats} | {row.stacked:.2%} | {row.scikit_learn:.2%} "
            f"| {100 * row.difference:+.2f} | {100 * row.standard_error:.2f} |"
        )
    if (results / "validation-search.csv").exists():
        lines += [
            "\nA small grid on the same folds, by `StackedSearchCV` and by `GridSearchCV`:\n",
            "| dropout on the hidden layers | stacked | grid search | difference, points "
            "| standard error |",
            "|---|---|---|---|---|",
        ]
        for row in tables.read_table(results, "validation-search").itertuples():
            lines.append(
                f"| {row.hidden_dropout:.0%} | {row.stacked_search:.2%} | {row.grid_search:.2%} "
                f"| {100 * row.difference:+.2f} | {100 * row.standard_error:.2f} |"
            )
    return "\n".join(lines) + "\n"


def _speed_table(results):
    rows = tables.read_table(results, "benchmark")
    machine = tables.read_record(results, "benchmark")["machine"]
    pace = rows.set_index(["way", "networks"])["process_seconds"]

    def ratio(networks):
        one, all_cores = (
            pace[way, networks] / pace["stacked", networks]
            for way in ("tutorial", "tutorial, all cores")
        )
        return f"{one:.0f} times as fast as the tutorial's way in one process, {all_cores:.0f} " + (
            "times as with a process for every core"
        )

    lines = [
        "| | networks | whole process, s | of it training, s | peak memory, MiB |",
        "|---|---|---|---|---|",
    ]
    for row in rows.itertuples():
        sign = "≈ " if row.extrapolated else ""
        lines.append(
            f"| {row.way} | {row.networks:,} | {sign}{row.process_seconds:,.1f} "
            f"| {sign}{row.training_seconds:,.2f} | {row.peak_memory_mib:,} |"
        )
    lines.append(
        f"\nOne run of 10 folds: {ratio(10)}. Ten runs, whole processes: {ratio(100)}. "
        "≈: extrapolated from the row of 10 networks, training times ten, the start counted "
        f"once. Peak memory is that of the largest process. {machine['cores']} cores "
        f"({machine['processor']}), {machine['memory_gib']:.0f} GiB."
    )
    return "\n".join(lines) + "\n"


def _record(results):
    """Give the record of an arm, or else of the tuning, for what all tables share."""
    for name in (*tables.ARMS, "tuned"):
        if (results / f"{name}.csv").exists():
            return tables.read_record(results, name)
    raise InputError(f"there is no arm and no tuning in {results} to report on; make one first")


def _making(results):
    record = _record(results)
    parts = []
    if record["experiment"] != "tune":
        parts.append(
            f"Arms: {record['repeats']} repeats of stratified {record['folds']}-fold "
            f"cross-validation, {record['epochs']} epochs, seed {record['seed']}, engine "
            f"{record['engine']}; the same splits for all."
        )
    if (results / "tuned.csv").exists():
        tuned = tables.read_record(results, "tuned")
        parts.append(
            f"Tuning: {tuned['folds']} outer folds, {tuned['inner_folds']} inner ones in each, "
            f"{len(tuned['candidates'])} candidates, {tuned['epochs']} epochs, seed "
            f"{tuned['seed']}."
        )
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    parts.append(
        f"Data: `{record['data']['file']}`, sha256 `{record['data']['sha256']}`. Versions: "
        f"{versions}. Beside each table, a `.json` with what produced it."
    )
    again = (
        "\nTo make everything again: `make all`, then `make tune tips evaluation figures report`; "
        "`make validate` and `make benchmark` for the engine's own tables. To see whether they "
        "come out on another machine: `make verify`.\n"
    )
    return (
        " ".join(parts) + "\n\n"
        "*On these rows*: the mean difference of each repeat is one value (with fewer than ten "
        "repeats, that of each fold); their t interval answers what the average over splits and "
        "seeds is. *For new rows*: the corrected resampled t-test (Nadeau and Bengio 2003) over "
        "all folds, variance × (1/J + n_test/n_train), J the number of folds of all repeats.\n"
    ) + (again if record["data"]["sha256"] == tables.SONAR_SHA256 else "")


def _files(results):
    lines = ["| file | one row per | columns |", "|---|---|---|"]
    for names, (unit, columns) in FILES.items():
        if any((results / name).exists() for name in names.split(", ")):
            lines.append(
                f"| {', '.join(f'`{n}`' for n in names.split(', '))} | {unit} | {columns} |"
            )
    return (
        "\n".join(lines) + "\n\nAccuracies are fractions of 1, losses nats per row, differences "
        "percentage points.\n"
    )


TIPS = {
    1: (
        "The rate",
        "The tutorial: 20% to 50%; less has little effect, more makes the network under-learn. "
        "The paper speaks of p, the share that is *kept*: about 0.8 on the inputs, 0.5 in the "
        "hidden layers.",
    ),
    2: (
        "The width",
        "The tutorial: use a larger network. The paper says how large: n / p units, where n "
        "would do without dropout, so 1.25 times as wide at 20% and twice at 50%.",
    ),
    3: ("The place", "The tutorial: on the inputs as well as on every hidden layer, as the paper."),
    4: (
        "Learning rate and momentum",
        "Both: a learning rate 10 to 100 times as large. The tutorial adds decay and a momentum "
        "of 0.9 or 0.99, the paper of 0.95 to 0.99. Decay here is exponential, to a tenth over "
        "the run; the comparison is with the baseline's rate of 0.01 and momentum of 0.8.",
    ),
    5: (
        "The max-norm",
        "The tutorial advises 4 or 5, and uses 3. The paper: 3 to 4.",
    ),
}


def _tips_section(results):
    comparison = tables.read_table(results, "tips-comparison")
    record = tables.read_record(results, "tips")
    parts = [
        f"{record['repeats']} runs of {record['folds']} folds a setting, the same splits for "
        "all; every setting is in `tips.csv`. Differences in accuracy, points, with 95% "
        "intervals; verdicts after Holm's correction over the pairs of a claim. *Collapsed*: "
        f"of the {record['repeats'] * record['folds']} networks of either side, those that give "
        f"one class for every training row; where half of a side did, the pair *{FAILED}*. "
        "Error bars in the figures: one standard error over folds; a cross: some collapsed.\n"
    ]
    tips = tables.read_table(results, "tips")
    for tip, (title, text) in TIPS.items():
        parts += [f"### {title} (tip {tip})\n", text + "\n"]
        for claim, pairs in comparison[comparison["tip"] == tip].groupby("claim", sort=False):
            lines = [
                f"*{claim[0].upper() + claim[1:]}?*\n",
                "| setting | instead of | collapsed | difference | on these rows | verdict "
                "| for new rows | verdict |",
                "|---|---|---|---|---|---|---|---|",
            ]
            for row in pairs.itertuples():
                first, second = (_said(record["settings"][n]) for n in (row.first, row.second))
                lines.append(
                    f"| {first} | {second} | {row.first_collapsed}, {row.second_collapsed} "
                    f"| {row.difference:+.1f} | {row.these_low:+.1f} to "
                    f"{row.these_high:+.1f} | *{row.these_verdict}* | {row.new_low:+.1f} to "
                    f"{row.new_high:+.1f} | *{row.new_verdict}* |"
                )
            parts.append("\n".join(lines) + "\n")
        collapsed = tips[(tips["tip"] == tip) & (tips["collapsed"] > 0)]
        if len(collapsed):
            parts.append(
                f"{collapsed['collapsed'].sum()} of {tips[tips['tip'] == tip]['networks'].sum()} "
                f"networks collapsed (one class for every row), in {len(collapsed)} settings.\n"
            )
        parts.append(_figure(results, f"tip{tip}", f"Tip {tip}: mean accuracy over all networks."))
    return "\n".join(part for part in parts if part)


def _said(settings):
    """Name a setting by what it has, in a few words."""
    words = []
    for place, key in (("inputs", "visible_dropout"), ("hidden", "hidden_dropout")):
        if settings.get(key):
            words.append(f"{100 * settings[key]:g}% on {place}")
    words = words or ["no dropout"]
    if settings["hidden_units"] != [60, 30]:
        words.append("-".join(map(str, settings["hidden_units"])) + " units")
    if settings["max_norm"] != 3:
        words.append(f"max-norm {settings['max_norm'] or 'none'}")
    if (settings["learning_rate"], settings["momentum"]) != (0.1, 0.9):
        words.append(f"rate {settings['learning_rate']:g}, momentum {settings['momentum']:g}")
    if settings.get("learning_rate_decay"):
        words.append("decay")
    return ", ".join(words)


def evaluation_words(results: Path) -> list[str]:
    """Say in plain words what `make evaluation` saw."""
    seen = tables.read_table(results, "evaluation").set_index("observation")["value"]
    record = tables.read_record(results, "evaluation")
    same = seen["evaluation_largest_change"] == 0

    def monte_carlo(score, unit, digits):
        key = f"monte_carlo_{score}_"
        return (
            f"{seen[key + 'difference']:+.{digits}f}{unit} on these rows "
            f"({seen[key + 'these_low']:+.{digits}f} to {seen[key + 'these_high']:+.{digits}f}), "
            f"for new ones {seen[key + 'new_low']:+.{digits}f} to "
            f"{seen[key + 'new_high']:+.{digits}f}"
        )

    return [
        "At evaluation, 100 times: "
        + ("the same outputs every time." if same else
           f"outputs that differ by up to {seen['evaluation_largest_change']:.1g}."),
        f"In training mode, {record['passes']} times: outputs that scatter, with a standard "
        f"deviation of {seen['training_standard_deviation']:.3f} for a row.",
        "The mean of these passes lies "
        f"{seen['training_mean_less_evaluation_mean']:.3f} from the evaluation output on "
        f"average, {seen['training_mean_less_evaluation_largest']:.3f} at most: near it, not on "
        "it, as the layers behind are not linear.",
        f"A Dropout layer of rate {seen['rate']:g} on ones: in training it drops "
        f"{seen['layer_training_dropped']:.1%} and turns the rest into "
        f"{seen['layer_training_kept_value']:.3g} = 1 / (1 − rate), mean "
        f"{seen['layer_training_mean']:.3f}; at evaluation all stay "
        f"{seen['layer_evaluation_smallest']:g}. The tutorial says the opposite: that evaluation "
        "multiplies by 1 − rate.",
        "Both ways agree in expectation: on the same activations, the mean of the training "
        f"passes is {seen['keras_training_mean_to_evaluation']:.4f} of the evaluation value by "
        f"Keras' way and {seen['tutorial_training_mean_to_evaluation']:.4f} by the tutorial's; on "
        "the same weights the outputs at evaluation differ by "
        f"{seen['tutorial_output_largest_difference']:.1g} at most.",
        f"Keeping dropout on and averaging {record['monte_carlo_passes']} passes (Monte Carlo "
        f"dropout) changes the accuracy by {monte_carlo('accuracy', ' points', 1)}; and the log "
        f"loss, {seen['evaluation_log_loss']:.2f} nats, by {monte_carlo('log_loss', '', 2)}.",
    ]  # fmt: skip


def tuning_words(results: Path) -> list[str]:
    """Say in words what `make tune` found."""
    tuned = tables.read_table(results, "tuned")
    tuning = tables.read_table(results, "tuning")
    record = tables.read_record(results, "tuned")
    untuned = tuned.assign(accuracy=tuned["baseline_accuracy"])
    best = tuning[(tuning["fold"] == 0) & (tuning["chosen"] == 1)].iloc[0]
    lost = int((~np.isfinite(tuned["log_loss"])).sum())
    optimism = 100 * (tuned["inner_accuracy"] - tuned["accuracy"]).mean()
    settings = ", ".join(
        f"{name.removeprefix('mlp__model__')} {_value(name, value)}"
        for name, value in record["candidates"][record["best"]].items()
    )
    return [
        f"Tuned: {tuned['accuracy'].mean():.1%} on rows that the search never saw, "
        f"{len(tuned)} outer folds, {len(record['candidates'])} candidates.",
        f"The untuned baseline: {untuned['accuracy'].mean():.1%} on the same folds. Tuned less "
        f"baseline: {_difference(compare(tuned, untuned))}",
        *_dropout_words(tuned, record["candidates"]),
        *(
            [f"Of the {len(tuned)} networks chosen {lost} diverged: the space is too wide."]
            if lost
            else []
        ),
        f"The estimate that is not nested: {best['accuracy']:.1%}, the best candidate's on the "
        "very folds that chose it. In the outer folds such estimates lie "
        f"{abs(optimism):.1f} points {'above' if optimism >= 0 else 'below'} what the chosen "
        "settings then reach.",
        f"The settings to use: {settings}.",
    ]


def _dropout_words(tuned, candidates):
    """Say how often dropout was chosen, and whether it helps: the best with, the best without."""
    rates = [name for name in tuned if name.endswith("_dropout")]
    if not rates:
        return []
    chosen = (tuned[rates] > 0).any(axis=1).sum()
    some = sum(any(one.get(f"mlp__model__{name}") for name in rates) for one in candidates)
    words = [
        f"The search chose dropout in {chosen} of {len(tuned)} outer folds; {some} of its "
        f"{len(candidates)} candidates have some."
    ]
    if "with_dropout_accuracy" in tuned:
        best, other = (
            tuned.assign(accuracy=tuned[f"{kind}_dropout_accuracy"]) for kind in ("with", "without")
        )
        words.append(
            "Does dropout help? The best of the candidates with dropout reach "
            f"{best['accuracy'].mean():.1%} on the same folds, the best of the "
            f"{len(candidates) - some} without it {other['accuracy'].mean():.1%}: "
            f"{_difference(compare(best, other))}"
        )
    return words


def _difference(compared):
    """Say a difference in points, with intervals and verdicts, for either question."""
    return (
        f"{compared['difference']:+.1f} points, on these rows {compared['these_low']:+.1f} to "
        f"{compared['these_high']:+.1f} "
        f"(*{verdict(compared['difference'], compared['these_p'])}*), for new ones "
        f"{compared['new_low']:+.1f} to {compared['new_high']:+.1f} "
        f"(*{verdict(compared['difference'], compared['new_p'])}*)."
    )


def _value(name, value):
    if isinstance(value, list):
        return "-".join(map(str, value)) or "none"
    if value is None or (value == 0 and name.endswith("dropout")):
        return "none"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _figure(results, name, caption):
    if not (results / "figures" / f"{name}.png").exists():
        return ""
    return f"![{caption}](figures/{name}.png)\n\n*{caption}*\n"


def _questions(results):
    collapse = ""
    if (results / "tips.csv").exists():
        tips = tables.read_table(results, "tips").drop_duplicates("setting")
        collapse = (
            f"- In the sweep of the tips {tips['collapsed'].sum():,} of "
            f"{tips['networks'].sum():,} networks collapsed, most of them at the control's "
            "learning rate of 0.1 and momentum of 0.9 or at larger ones. Tip 5, on max-norm, is "
            "tried there only.\n"
        )
    return (
        "Where the project departs from the tutorial is numbered in the "
        "[main page](../README.md#deviations-from-the-tutorial).\n\n"
        "- The returns are of one metal cylinder and of rocks, at various angles: *new returns* "
        "means more of the same. How a network does on other objects, these rows cannot tell.\n"
        "- The settings are the tutorial's; no arm was tuned, nor was the support vector "
        "machine. Another learning rate may turn an order around.\n"
        "- The corrected t-test is a correction by rule of thumb: it keeps false alarms rare, "
        "it does not make 208 rows more than they are.\n" + collapse
    )
