//! `quizmentor simulate`: synthetic learners of known ability, with human think times, practise on
//! a running server through its public API.
//!
//! Each learner takes a guest's token, begins a practice session on one subject, and then thinks,
//! answers and reads the reply, which brings the next question. What fails in a way that may pass
//! is sent again, an answer always with its id. When the time is over every learner looks its
//! answers up: each that was acknowledged must be there, once. [`truth`] states how learners
//! answer and learn.

mod client;
mod learner;
mod response;
mod truth;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::{
    signal,
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{self, Instant},
};

use super::{counter, print_json};
use client::{Call, Client, base_url};
use learner::{Found, Learner, Until, World};

/// Learners come over so long, at least.
const RAMP: Duration = Duration::from_secs(2);
/// Learners who look their answers up at the same time.
const LOOKING_UP: usize = 16;
/// How long a server that fails is asked for the answers.
const LOOK_UP_TIMEOUT: Duration = Duration::from_mins(2);

#[derive(Debug, Args)]
#[command(after_help = "Ctrl-C ends their practice early. The \
    measures are printed as one JSON object; the exit status is 1 when an acknowledged answer was \
    not found at the end, or one was counted twice.")]
pub(crate) struct Simulate {
    /// Address of the server, such as http://127.0.0.1:8080
    #[arg(long, value_name = "URL", value_parser = base_url)]
    url: String,
    /// Learners who practise at the same time, 1 to 100000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    learners: u32,
    /// How long they practise, 1 to 86400
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// Median of the time that they think about a question, in seconds, 0 to 3600
    #[arg(long, value_name = "S", default_value = "8", value_parser = time_in_seconds)]
    think: Duration,
    /// They come over so many seconds, 0 to 3600 [default: the time to think, at least 2]
    #[arg(long, value_name = "S", value_parser = time_in_seconds)]
    ramp: Option<Duration>,
    /// The same seed makes the same learners
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Subject that all practise, by its slug [default: one at random for each learner]
    #[arg(long, value_name = "SLUG")]
    subject: Option<String>,
}

/// A time in seconds, such as `0.5`.
fn time_in_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=3_600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "0 to 3600 seconds are possible".into())
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    /// HTTP requests sent.
    requests: u64,
    /// Requests that failed, by kind.
    errors: BTreeMap<String, u64>,
    /// Percentiles of the time to a reply or time-out while learners practised, in milliseconds;
    /// `null` without any.
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    answers_acknowledged: usize,
    /// The same in each second of practice.
    answers_per_second: f64,
    /// Of these, found at the end.
    answers_found: usize,
    /// Mean rise of the ability, in logits.
    ability_gain: f64,
    /// The same for as many answers to the questions seen, in random order.
    ability_gain_random: f64,
    /// Answer ids that the server has more than once.
    counted_twice: usize,
    /// Learners whose answers could not be read at the end; they count as not found.
    learners_unread: usize,
    learners: usize,
    /// How long they practised.
    seconds: f64,
}

pub(crate) fn run(arguments: &Simulate) -> anyhow::Result<()> {
    // One thread is enough, and leaves the other cores to a server on this machine.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let report = runtime.block_on(simulate(arguments))?;
    print_json(&report)?;
    let lost = report.answers_acknowledged - report.answers_found;
    if lost > 0 || report.counted_twice > 0 {
        bail!("{lost} acknowledged answers were not found, {} are twice", report.counted_twice);
    }
    Ok(())
}

async fn simulate(arguments: &Simulate) -> anyhow::Result<Report> {
    let client = Client::new(&arguments.url);
    let subjects = subjects(&client, arguments).await?;
    let ramp = arguments.ramp.unwrap_or(arguments.think.max(RAMP));
    let world =
        Arc::new(World::new(client, counter("answers acknowledged"), arguments.think, ramp));
    let start = Instant::now();
    let mut learners = practise(arguments, &subjects, &world).await?;
    let seconds = start.elapsed().as_secs_f64();
    world.progress.finish_and_clear();
    let mut latencies = std::mem::take(&mut world.client.tally().latencies);
    latencies.sort_unstable();

    let seen = world.seen();
    let count = learners.len() as f64;
    let ability_gain = learners.iter().map(Learner::gain).sum::<f64>() / count;
    let random: f64 = learners.iter_mut().map(|learner| learner.gain_at_random(&seen)).sum();
    let answers_acknowledged = learners.iter().map(Learner::acknowledged).sum();
    let found = look_up(learners, &world).await?;
    let mut tally = world.client.tally();
    Ok(Report {
        requests: tally.requests,
        errors: std::mem::take(&mut tally.errors),
        p50_ms: percentile(&latencies, 50.0),
        p95_ms: percentile(&latencies, 95.0),
        p99_ms: percentile(&latencies, 99.0),
        answers_acknowledged,
        answers_per_second: answers_acknowledged as f64 / seconds,
        answers_found: found.iter().flatten().map(|found| found.answers).sum(),
        ability_gain,
        ability_gain_random: random / count,
        counted_twice: found.iter().flatten().map(|found| found.twice).sum(),
        learners_unread: found.iter().filter(|found| found.is_none()).count(),
        learners: found.len(),
        seconds,
    })
}

#[derive(Deserialize)]
struct Subjects {
    subjects: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    id: String,
    questions: usize,
}

/// The subjects to practise.
async fn subjects(client: &Client, arguments: &Simulate) -> anyhow::Result<Vec<String>> {
    let Simulate { url, subject: wanted, .. } = arguments;
    let listed: Subjects = client
        .send(&Call::get("/v1/subjects"))
        .await
        .with_context(|| format!("no QuizMentor server answers at {url}"))?;
    let mut subjects: Vec<_> =
        listed.subjects.into_iter().filter(|s| s.questions > 0).map(|s| s.id).collect();
    if subjects.is_empty() {
        bail!("the server at {url} has no questions to practise");
    }
    if let Some(wanted) = wanted {
        if !subjects.contains(wanted) {
            bail!("there is no subject {wanted} to practise; there are: {}", subjects.join(", "));
        }
        subjects = vec![wanted.clone()];
    }
    Ok(subjects)
}

/// Lets the learners practise until the time is over or someone presses Ctrl-C.
async fn practise(
    arguments: &Simulate,
    subjects: &[String],
    world: &Arc<World>,
) -> anyhow::Result<Vec<Learner>> {
    let (end, until) = Until::new();
    let mut learners = JoinSet::new();
    for number in 0..u64::from(arguments.learners) {
        let learner = Learner::new(arguments.seed, number, subjects);
        learners.spawn(learner.practise(Arc::clone(world), until.clone()));
    }
    let time = Duration::from_secs(arguments.seconds.into());
    let over = async {
        tokio::select! {
            () = time::sleep(time) => Ok(()),
            pressed = signal::ctrl_c() => pressed.context("cannot wait for Ctrl-C"),
        }
    };
    join(learners, over, end).await
}

/// What became of each learner's answers; `None` where they could not be read.
async fn look_up(learners: Vec<Learner>, world: &Arc<World>) -> anyhow::Result<Vec<Option<Found>>> {
    let progress = counter("learners found their answers");
    let (end, until) = Until::new();
    let turns = Arc::new(Semaphore::new(LOOKING_UP));
    let mut lookups = JoinSet::new();
    for mut learner in learners {
        let (world, until, turns) = (Arc::clone(world), until.clone(), Arc::clone(&turns));
        let progress = progress.clone();
        lookups.spawn(async move {
            let _turn = turns.acquire().await.ok()?;
            let found = learner.look_up(&world, &until).await.ok()?;
            progress.inc(1);
            Some(found)
        });
    }
    let over = async {
        tokio::select! {
            () = time::sleep(LOOK_UP_TIMEOUT) => Ok(()),
            _ = signal::ctrl_c() => bail!("interrupted before the answers were found again"),
        }
    };
    let found = join(lookups, over, end).await?;
    progress.finish_and_clear();
    Ok(found)
}

/// Waits for all tasks; sends their `end` when `over` comes first.
async fn join<T: 'static>(
    tasks: JoinSet<T>,
    over: impl Future<Output = anyhow::Result<()>>,
    end: watch::Sender<bool>,
) -> anyhow::Result<Vec<T>> {
    let mut all = std::pin::pin!(tasks.join_all());
    tokio::select! {
        all = &mut all => return Ok(all),
        over = over => over?,
    }
    end.send_replace(true);
    Ok(all.await)
}

/// The nearest-rank percentile of `sorted` in milliseconds; `None` of nothing.
fn percentile(sorted: &[Duration], percent: f64) -> Option<f64> {
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).map(|latency| latency.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let sorted: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&sorted, 50.0), Some(100.0));
        assert_eq!(percentile(&sorted, 99.0), Some(198.0));
        assert_eq!(percentile(&sorted, 100.0), Some(200.0));
        assert_eq!(percentile(&sorted[..1], 1.0), Some(1.0));
        assert_eq!(percentile(&[], 50.0), None);
    }

    #[test]
    fn a_server_that_is_not_there_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let arguments = Simulate {
            url: url.clone(),
            learners: 1,
            seconds: 1,
            think: Duration::ZERO,
            ramp: None,
            seed: 1,
            subject: None,
        };
        let error = format!("{:#}", run(&arguments).unwrap_err());
        let expected = format!("no QuizMentor server answers at {url}: cannot connect: ");
        assert!(error.starts_with(&expected), "{error}");
    }
}
