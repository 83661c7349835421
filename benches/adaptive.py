"""Runs the adaptive engine and its peers on the same files and prints figures as JSON."""

import argparse
import csv
import gzip
import json
import math
import os
import random
import resource
import subprocess
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy
from catpie.eap import eapEst
from catsim.estimation import NumericalSearchEstimator
from catsim.irt import see
from catsim.item_bank import ItemBank
from catsim.selection import MaxInfoSelector
from fsrs import Card, Rating, Scheduler

STOP = 0.3
LONGEST = 120
CAP = 0.25
SIZES = [10_000, 100_000]
SELECTIONS = 20
ROWS = 1_000_000
MASK = (1 << 64) - 1


def run(binary, *arguments):
    """The JSON object that a command prints, and its peak of memory in MiB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    printed = subprocess.run([binary, *map(str, arguments)], check=True, capture_output=True)
    peak = max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024
    return json.loads(printed.stdout), peak


def synthetic_log(path, rows, learners=500, items=400, skills=20):
    """A log of a two-parameter model, several skills a row."""
    rng = random.Random(1)
    ability = [rng.gauss(0, 1) for _ in range(learners)]
    difficulty = [rng.gauss(0, 1) for _ in range(items)]
    with open(path, "w", newline="") as file:
        file.write("learner,item,skills,correct\n")
        for _ in range(rows):
            learner, item = rng.randrange(learners), rng.randrange(items)
            chance = 1 / (1 + math.exp(difficulty[item] - ability[learner]))
            right = int(rng.random() < chance)
            file.write(f"{learner},{item},{item % skills};{skills + item % 7},{right}\n")


def opened(path):
    return gzip.open(path, "rt") if str(path).endswith(".gz") else open(path)


def column_names(path):
    with opened(path) as file:
        return next(csv.reader(file))


def variants(path, directory):
    """The log as it is, without its skills, and without its items."""
    yield "as it is", path
    for column in ("skills", "item"):
        if column not in column_names(path):
            continue
        changed = Path(directory) / f"without-{column}.csv"
        with opened(path) as source, open(changed, "w", newline="") as target:
            rows = csv.reader(source)
            header = next(rows)
            at = header.index(column)
            writer = csv.writer(target)
            writer.writerow(header[:at] + header[at + 1 :])
            writer.writerows(row[:at] + row[at + 1 :] for row in rows if len(row) > at)
        yield f"without {column}", changed


def learner_models(binary, logs, directory):
    for log in logs:
        for name, path in variants(log, directory):
            report, _ = run(binary, "eval", "adaptive", path, "--peers")
            yield {"log": Path(log).name, "variant": name, **report}


def memory(binary, directory):
    """Peak memory at a tenth of the rows and at all of them, the learners being the same."""
    peaks = []
    for rows in (ROWS // 10, ROWS):
        path = Path(directory) / f"{rows}.csv"
        synthetic_log(path, rows)
        report, peak = run(binary, "eval", "adaptive", path)
        peaks.append({"rows": report["rows_scored"], "peak_mib": round(peak, 1)})
    return peaks


def synthetic_bank(path, count):
    rng = random.Random(count)
    with open(path, "w", newline="") as file:
        file.write("item,a,b\n")
        for item in range(count):
            a = min(max(rng.gauss(1.2, 0.25), 0.4), 2.5)
            file.write(f"{item},{a},{rng.gauss(0, 1)}\n")


def synthetic_thetas(path, count):
    rng = random.Random(7)
    with open(path, "w", newline="") as file:
        file.write("examinee,theta\n")
        file.writelines(f"{j},{rng.gauss(0, 1)}\n" for j in range(count))


def parameters(path):
    with opened(path) as file:
        rows = [(float(row["a"]), float(row["b"])) for row in csv.DictReader(file)]
    return numpy.array([[a, b, 0.0, 1.0] for a, b in rows])


def answers_right(examinee, item, probability):
    """The same draws as those of `quizmentor eval cat`."""
    z = ((examinee << 32) + item + 1 + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    z ^= z >> 31
    return (z >> 11) / 2**53 < probability


def catsim_tests(bank_path, thetas_path, examinees):
    """Mean items to the stop: maximum information, maximum likelihood."""
    items = parameters(bank_path)
    bank, selector, estimator = ItemBank(items), MaxInfoSelector(), NumericalSearchEstimator()
    with opened(thetas_path) as file:
        thetas = [float(row["theta"]) for row in csv.DictReader(file)][:examinees]
    lengths = []
    for examinee, theta in enumerate(thetas):
        asked, answers, estimate = [], [], 0.0
        while len(asked) < LONGEST:
            item = int(selector.select(item_bank=bank, administered_items=asked, est_theta=estimate))
            a, b = items[item][:2]
            right = answers_right(examinee, item, 1 / (1 + math.exp(-a * (theta - b))))
            asked.append(item)
            answers.append(bool(right))
            estimate = estimator.estimate(
                item_bank=bank, administered_items=asked, response_vector=answers, est_theta=estimate
            )
            if see(estimate, items[asked]) < STOP:
                break
        lengths.append(len(asked))
    return {"examinees": len(lengths), "items_mean": round(float(numpy.mean(lengths)), 2)}


def catsim_selection(bank_path):
    """Mean nanoseconds of a selection."""
    bank, selector = ItemBank(parameters(bank_path)), MaxInfoSelector()
    start = time.perf_counter_ns()
    for n in range(SELECTIONS):
        selector.select(item_bank=bank, administered_items=list(range(n)), est_theta=n / 10 - 1)
    return (time.perf_counter_ns() - start) / SELECTIONS


def adaptive_tests(binary, bank, thetas, examinees):
    free, _ = run(binary, "eval", "cat", bank, thetas)
    capped, _ = run(binary, "eval", "cat", bank, thetas, "--exposure", CAP)
    peer = catsim_tests(bank, thetas, examinees)
    return {"free": free, f"exposure_{CAP}": capped, "catsim": peer}


def selections(binary, thetas, directory):
    for size in SIZES:
        bank = Path(directory) / f"bank-{size}.csv"
        synthetic_bank(bank, size)
        cat, _ = run(binary, "eval", "cat", bank, thetas)
        served, _ = run(binary, "eval", "selection", size)
        peer = catsim_selection(bank)
        yield {
            "items": size,
            "cat_us": round(cat["ns_per_selection"] / 1000, 2),
            "practice_us": round(served["practice_ns"] / 1000, 2),
            "test_us": round(served["test_ns"] / 1000, 2),
            "catsim_us": round(peer / 1000, 1),
            "catsim_ratio": round(peer / cat["ns_per_selection"]),
        }


def peers_per_call():
    """Mean microseconds of the reference implementations' own steps."""
    scheduler, card = Scheduler(enable_fuzzing=False), Card()
    now, start = datetime(2026, 1, 1, tzinfo=timezone.utc), time.perf_counter_ns()
    for _ in range(500):
        now += timedelta(days=2)
        card, _ = scheduler.review_card(card, Rating.Good, now)
    review = (time.perf_counter_ns() - start) / 500
    items = [(1.2, n / 10 - 1, 0.0, 1.0) for n in range(20)]
    start = time.perf_counter_ns()
    for _ in range(100):
        eapEst(items, [n % 2 for n in range(20)], nqp=81)
    ability = (time.perf_counter_ns() - start) / 100
    return {"py_fsrs_review_us": round(review / 1000, 1), "catpie_eap_us": round(ability / 1000, 1)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--log", action="append", default=[])
    parser.add_argument("--bank")
    parser.add_argument("--thetas")
    parser.add_argument("--examinees", type=int, default=200, help="those that catsim tests")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        logs = given.log
        if not logs:
            logs = [Path(directory) / "synthetic.csv"]
            synthetic_log(logs[0], 50_000)
        bank, thetas = given.bank, given.thetas
        if not (bank and thetas):
            bank, thetas = Path(directory) / "bank.csv", Path(directory) / "thetas.csv"
            synthetic_bank(bank, 1_000)
            synthetic_thetas(thetas, 1_000)
        figures = {
            "load_1min": round(os.getloadavg()[0], 2),
            "memory": memory(given.binary, directory),
            "learner_model": list(learner_models(given.binary, logs, directory)),
            "adaptive_test": adaptive_tests(given.binary, bank, thetas, given.examinees),
            "selection": list(selections(given.binary, thetas, directory)),
            "peers": peers_per_call(),
        }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
