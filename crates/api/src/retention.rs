//! The months of answers: room for those to come, and an end of those that were kept long enough.

use std::{num::NonZeroU16, sync::Arc, time::Duration};

use jiff::{ToSpan, tz::TimeZone};
use quizmentor_core::{SignedDuration, Timestamp};
use quizmentor_store::Result;
use tokio::time::MissedTickBehavior;

use crate::App;

/// How often the months are looked after.
const PERIOD: Duration = Duration::from_mins(10);
/// Whoever has not looked after them for so long has gone.
const LEASE: SignedDuration = SignedDuration::from_mins(30);

impl App {
    /// Looks after the months of answers until dropped; keeps each answer for `months_kept` months,
    /// or for ever.
    pub async fn tend_months(self: Arc<Self>, months_kept: Option<NonZeroU16>) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let tended = async {
                if self.take_lease("months", LEASE).await? {
                    self.tend_months_once(months_kept).await?;
                }
                Ok::<_, quizmentor_store::Error>(())
            };
            if let Err(error) = tended.await {
                tracing::warn!(%error, "looking after the months of answers put off");
            }
        }
    }

    /// Makes room for the answers of the coming months, and drops whole months whose answers have
    /// all been kept for `months_kept` months and learned from.
    ///
    /// # Errors
    /// When the records fail.
    pub async fn tend_months_once(&self, months_kept: Option<NonZeroU16>) -> Result<()> {
        let now = self.clock.now();
        self.records.prepare_months(now).await?;
        let Some(kept) = months_kept else { return Ok(()) };
        let before = months_before(now, kept).min(self.learned_until(now).await?);
        self.records.drop_months(before).await
    }

    /// When the first answer was given that no snapshot has learned from; `now` when there is none.
    async fn learned_until(&self, now: Timestamp) -> Result<Timestamp> {
        let learned = self.records.latest_snapshot_info().await?;
        let learned = learned.map_or(0, |info| info.upto_sequence);
        let next = self.records.answers_after(learned, 1).await?;
        Ok(next.first().map_or(now, |stored| stored.answer.at))
    }
}

/// The moment so many months before `now`, or the beginning of time.
fn months_before(now: Timestamp, months: NonZeroU16) -> Timestamp {
    let moment = now.to_zoned(TimeZone::UTC).checked_sub(i32::from(months.get()).months());
    moment.map_or(Timestamp::MIN, |moment| moment.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_those_of_the_calendar() {
        let before = |now: &str, months| {
            let months = NonZeroU16::new(months).unwrap();
            months_before(now.parse().unwrap(), months).to_string()
        };
        assert_eq!(before("2026-03-31T12:00:00Z", 1), "2026-02-28T12:00:00Z");
        assert_eq!(before("2026-11-27T00:00:00Z", 24), "2024-11-27T00:00:00Z");
    }
}
