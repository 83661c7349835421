//! Commands on the stores: `migrate`, `backup`, `restore`, `learner`, `jobs`.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use quizmentor_core::{Clock, LearnerId, SystemClock};
use quizmentor_store::records::{Entry, Records};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{runtime::Runtime, sync::mpsc};
use uuid::Uuid;

use super::{counter, print_json};
use crate::{
    application::{self, DATABASE},
    config::{self, Config},
};

/// Version of the format of backups.
const FORMAT: u32 = 1;
/// Entries that wait for a slow disk.
const AHEAD: usize = 256;

/// Which installation is meant.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Place {
    /// Where data is kept [default: as for serve]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Settings to read
    #[arg(long, value_name = "FILE", env = "QUIZMENTOR_CONFIG")]
    config: Option<PathBuf>,
}

impl Place {
    pub(crate) fn settings(&self) -> anyhow::Result<(Config, PathBuf)> {
        let config = config::load(self.config.as_deref(), crate::cli::environment())?;
        let data_dir = self.data_dir.clone().map_or_else(|| config.data_dir(), Ok)?;
        Ok((config, data_dir))
    }

    /// Fails where nothing was installed, rather than make an empty installation there.
    fn ensure_installed(&self) -> anyhow::Result<()> {
        let (config, data_dir) = self.settings()?;
        let there = config.records.url.is_some() || data_dir.join(DATABASE).exists();
        ensure!(there, "nothing is installed in {}: there is no {DATABASE}", data_dir.display());
        Ok(())
    }

    /// Runs `work` on the records, which are brought to the present schema before.
    pub(crate) fn with_records<T>(
        &self,
        work: impl AsyncFnOnce(Arc<dyn Records>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let (config, data_dir) = self.settings()?;
        Runtime::new()?.block_on(async {
            let records = application::open_records(&config, &data_dir).await?;
            let outcome = work(Arc::clone(&records)).await;
            records.close().await;
            outcome
        })
    }
}

/// `quizmentor migrate`
pub(crate) fn migrate(place: &Place) -> anyhow::Result<()> {
    place.with_records(async |records| {
        records.ping().await?;
        print_json(&json!({ "migrated": true }))
    })
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The file to write; it must not exist
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// A file written by `quizmentor backup`
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// The first line of a backup.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    quizmentor_backup: u32,
}

/// `quizmentor backup`: everything that is durable, one JSON document a line.
pub(crate) fn backup(arguments: &Backup) -> anyhow::Result<()> {
    let file = &arguments.file;
    ensure!(!file.exists(), "{} is there already", file.display());
    arguments.place.ensure_installed()?;
    let entries = arguments.place.with_records(async |records| {
        let part = file.with_added_extension("part");
        let entries = write_backup(records, &part)
            .await
            .with_context(|| format!("cannot write {}", part.display()))?;
        // Neither a half of a backup nor another file is ever under this name.
        fs::hard_link(&part, file).with_context(|| format!("cannot make {}", file.display()))?;
        fs::remove_file(&part)?;
        Ok(entries)
    })?;
    print_json(&json!({ "file": file, "entries": entries }))
}

async fn write_backup(records: Arc<dyn Records>, path: &Path) -> anyhow::Result<u64> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut output = BufWriter::new(file);
    writeln!(output, "{}", serde_json::to_string(&Header { quizmentor_backup: FORMAT })?)?;
    let (sink, mut entries) = mpsc::channel(AHEAD);
    let dumping = tokio::spawn(async move { records.dump(sink).await });
    let progress = counter("entries");
    while let Some(entry) = entries.recv().await {
        serde_json::to_writer(&mut output, &entry)?;
        output.write_all(b"\n")?;
        progress.inc(1);
    }
    dumping.await??;
    output.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(progress.position())
}

/// `quizmentor restore`: fills an empty installation.
pub(crate) fn restore(arguments: &Restore) -> anyhow::Result<()> {
    let path = &arguments.file;
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    config::make_data_dir(&arguments.place.settings()?.1)?;
    let entries = arguments.place.with_records(async |records| {
        let (sender, entries) = mpsc::channel(AHEAD);
        let progress = counter("entries");
        let reading = {
            let progress = progress.clone();
            tokio::task::spawn_blocking(move || read_backup(file, &sender, &progress))
        };
        let loaded = records.load(entries).await;
        // What is wrong with the file counts more than what the records say to its end.
        reading.await?.with_context(|| format!("{}", path.display()))?;
        loaded.context("nothing was restored")?;
        Ok(progress.position())
    })?;
    print_json(&json!({ "file": path, "entries": entries }))
}

fn read_backup(
    file: File,
    entries: &mpsc::Sender<Entry>,
    progress: &ProgressBar,
) -> anyhow::Result<()> {
    let mut lines = (1_u64..).zip(BufReader::new(file).lines());
    let first = lines.next().context("empty")?.1?;
    let header: Header = serde_json::from_str(&first).context("no backup of QuizMentor")?;
    let format = header.quizmentor_backup;
    ensure!(format == FORMAT, "a backup of format {format}; this program reads {FORMAT}");
    for (number, line) in lines {
        let entry = serde_json::from_str(&line?).with_context(|| format!("line {number}"))?;
        if entries.blocking_send(entry).is_err() {
            // The records have failed and say why.
            return Ok(());
        }
        progress.inc(1);
    }
    Ok(())
}

#[derive(Debug, Subcommand)]
pub(crate) enum Learner {
    /// Write everything of a learner to standard output, one JSON document a line
    Export {
        /// The learner's id
        learner: Uuid,
        #[command(flatten)]
        place: Place,
    },
    /// Remove a learner and everything of theirs, for good
    Erase {
        /// The learner's id
        learner: Uuid,
        #[command(flatten)]
        place: Place,
    },
}

/// `quizmentor learner`
pub(crate) fn learner(command: &Learner) -> anyhow::Result<()> {
    let (Learner::Export { place, .. } | Learner::Erase { place, .. }) = command;
    place.ensure_installed()?;
    match command {
        Learner::Export { learner, place } => {
            let learner = LearnerId(*learner);
            place.with_records(async |records| {
                let (sink, mut documents) = mpsc::channel(AHEAD);
                let exporting = tokio::spawn(quizmentor_api::export(records, learner, sink));
                while let Some(document) = documents.recv().await {
                    print_json(&document)?;
                }
                Ok(exporting.await??)
            })
        }
        Learner::Erase { learner, place } => {
            let id = LearnerId(*learner);
            let (config, _) = place.settings()?;
            place.with_records(async |records| {
                let clock: Arc<dyn Clock> = Arc::new(SystemClock);
                let cache = application::open_cache(&config, &clock).await?;
                let now = clock.now();
                quizmentor_api::erase(records.as_ref(), cache.as_ref(), id, now).await?;
                print_json(&json!({ "erased": id }))
            })
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    /// List the jobs that were given up, one JSON document a line
    Dead {
        #[command(flatten)]
        place: Place,
    },
    /// Try jobs that were given up again
    Revive {
        /// One of them; without it, all
        job: Option<Uuid>,
        #[command(flatten)]
        place: Place,
    },
}

/// `quizmentor jobs`
pub(crate) fn jobs(command: &Jobs) -> anyhow::Result<()> {
    let (Jobs::Dead { place } | Jobs::Revive { place, .. }) = command;
    place.ensure_installed()?;
    match command {
        Jobs::Dead { place } => place.with_records(async |records| {
            let mut after = None;
            loop {
                let page = records.dead_jobs(after, AHEAD).await?;
                for dead in &page.items {
                    print_json(&json!({
                        "id": dead.job.id,
                        "kind": dead.job.kind,
                        "payload": dead.job.payload,
                        "attempts": dead.attempts,
                        "error": dead.error,
                    }))?;
                }
                after = page.items.last().map(|dead| dead.job.id);
                if !page.more {
                    return Ok(());
                }
            }
        }),
        Jobs::Revive { job, place } => place.with_records(async |records| {
            let revived = records.revive_jobs(*job, SystemClock.now()).await?;
            print_json(&json!({ "revived": revived }))
        }),
    }
}
