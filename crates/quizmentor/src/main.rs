//! QuizMentor: quizzes and learning, every engine in one program.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context;
use clap::Parser;

use cli::{Arguments, Command, ConfigCommand, ServeArguments};
use traces::Traces;

mod application;
mod cli;
mod commands;
mod config;
mod lifecycle;
mod logging;
mod serve;
mod traces;

/// A third of the time that an answer takes went into the C library's allocator. It is built to ask
/// for no huge pages, with which idle connections take twice the memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit status for mistakes in what the user wrote, as for flags.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        None => serve(&arguments.serve),
        Some(Command::Serve(flags)) => serve(&flags),
        Some(Command::Config(ConfigCommand::Check { file })) => {
            config::load(file.as_deref(), cli::environment())
                .map(|_| println!("no mistakes found"))
                .map_err(Into::into)
        }
        Some(Command::Config(ConfigCommand::Print)) => {
            io::stdout().write_all(config::DEFAULTS.as_bytes()).map_err(Into::into)
        }
        Some(Command::Classify(arguments)) => commands::classify::run(&arguments),
        Some(Command::Eval(command)) => commands::eval::run(&command),
        Some(Command::Invite(arguments)) => commands::invite::run(&arguments),
        Some(Command::Simulate(arguments)) => commands::simulate::run(&arguments),
        Some(Command::Migrate(place)) => commands::stores::migrate(&place),
        Some(Command::Backup(arguments)) => commands::stores::backup(&arguments),
        Some(Command::Restore(arguments)) => commands::stores::restore(&arguments),
        Some(Command::Learner(command)) => commands::stores::learner(&command),
        Some(Command::Jobs(command)) => commands::stores::jobs(&command),
        Some(Command::Doctor(arguments)) => commands::doctor::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has had enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(if error.is::<config::Mistakes>() { USAGE } else { 1 })
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let kind = cause
            .downcast_ref::<io::Error>()
            .map(io::Error::kind)
            .or_else(|| cause.downcast_ref::<serde_json::Error>()?.io_error_kind());
        kind == Some(io::ErrorKind::BrokenPipe)
    })
}

fn serve(flags: &ServeArguments) -> anyhow::Result<()> {
    let inherited = lifecycle::sockets::inherit()?;
    let config = flags.settings()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let traces = {
        let _on_runtime = runtime.enter();
        Traces::start(&config.traces)?
    };
    let filter = logging::init(&config.log.filter, traces.layer())?;
    lifecycle::descriptors::raise_limit();
    lifecycle::descriptors::check_room(config.limits.connections);
    let served = runtime.block_on(serve::run(flags, config, inherited, &filter, application::open));
    traces.end();
    // Work that no one waits for any more must not hold the exit up.
    runtime.shutdown_background();
    served
}
