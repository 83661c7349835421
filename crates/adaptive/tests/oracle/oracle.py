"""Computes golden.json: what the reference implementations make of fixed histories.

    pip install fsrs==6.3.2 catpie && python oracle.py > golden.json
"""

import json
import random
from datetime import datetime, timedelta, timezone

from catpie.eap import eapEst, eapSem
from fsrs import Card, Rating, Scheduler

SEED = 20261122
RATINGS = {"again": Rating.Again, "hard": Rating.Hard, "good": Rating.Good}


def review_history(rng: random.Random) -> dict:
    scheduler = Scheduler(learning_steps=(), relearning_steps=(), enable_fuzzing=False)
    card, now, steps = Card(), datetime(2026, 1, 1, tzinfo=timezone.utc), []
    for _ in range(rng.randint(1, 8)):
        days = rng.choice([1, 2, 5, 9, 30, 120])
        now += timedelta(days=days)
        retrievability = scheduler.get_card_retrievability(card, now) if steps else None
        rating = rng.choice(list(RATINGS))
        card, _ = scheduler.review_card(card, RATINGS[rating], now)
        steps.append(
            {
                "days": days,
                "rating": rating,
                "retrievability_before": retrievability,
                "stability": card.stability,
                "difficulty": card.difficulty,
                "interval_days": (card.due - now).days,
            }
        )
    return {"steps": steps}


def ability_history(rng: random.Random) -> dict:
    count = rng.randint(1, 25)
    items = [
        [round(rng.uniform(0.4, 2.2), 3), round(rng.gauss(0, 1), 3), rng.choice([0.0, 0.2, 0.25])]
        for _ in range(count)
    ]
    answers = [rng.randint(0, 1) for _ in items]
    full = [(a, b, c, 1.0) for a, b, c in items]
    mean = eapEst(full, answers, nqp=81)
    return {
        "items": items,
        "answers": answers,
        "mean": mean,
        "error": eapSem(mean, full, answers, nqp=81),
    }


def main() -> None:
    rng = random.Random(SEED)
    golden = {
        "reviews": [review_history(rng) for _ in range(12)],
        "abilities": [ability_history(rng) for _ in range(12)],
    }
    print(json.dumps(golden, indent=1))


if __name__ == "__main__":
    main()
