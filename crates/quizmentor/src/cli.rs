//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::{
    commands::{
        classify::Classify,
        doctor::Doctor,
        eval::Eval,
        invite::Invite,
        simulate::Simulate,
        stores::{Backup, Jobs, Learner, Place, Restore},
    },
    config::{self, Config, Mistakes, Role},
};

/// An AI quiz and learning platform in one program
///
/// Without a command it serves: open the printed address in a browser.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: ServeArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the API and the pages (the default)
    Serve(ServeArguments),
    /// Make a one-time sign-in link for an author or admin
    Invite(Invite),
    /// Tell the Bloom level of each row of files or of standard input
    Classify(Classify),
    /// Measure the engines on files
    #[command(subcommand)]
    Eval(Eval),
    /// Let synthetic learners practise on a running server, and measure it
    Simulate(Simulate),
    /// Check all that serving needs, and say what to do
    Doctor(Doctor),
    /// Bring the records to the present schema
    Migrate(Place),
    /// Write everything that is durable to a file
    Backup(Backup),
    /// Fill an empty installation from a backup, whichever database it uses
    Restore(Restore),
    /// Export or erase a learner's data
    #[command(subcommand)]
    Learner(Learner),
    /// Look at jobs that were given up, and try them again
    #[command(subcommand)]
    Jobs(Jobs),
    /// Look at the settings
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// Flags win over QUIZMENTOR__… variables, these over the settings file.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ServeArguments {
    /// What this process does; repeat or separate by commas [default: all]
    #[arg(long = "role", value_name = "ROLE", value_delimiter = ',')]
    roles: Vec<Role>,
    /// Address and port to listen on; port 0 takes any free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where data is kept [default: $STATE_DIRECTORY, else ~/.local/share/quizmentor]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the trained models are [default: models]
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    #[command(flatten)]
    file: SettingsFile,
}

#[derive(Debug, Clone, Default, Args)]
struct SettingsFile {
    /// Settings to read; `quizmentor config print` shows what can be set
    #[arg(long, value_name = "FILE", env = "QUIZMENTOR_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Explain every mistake in a settings file and in the QUIZMENTOR__… variables
    Check {
        /// The settings file; without one only the environment is checked
        #[arg(env = "QUIZMENTOR_CONFIG")]
        file: Option<PathBuf>,
    },
    /// Print the default settings with their explanations, as a file to start from
    Print,
}

impl ServeArguments {
    /// The settings as they hold for serving: defaults, file, environment, these flags.
    ///
    /// # Errors
    ///
    /// Every mistake in the file and the environment.
    pub(crate) fn settings(&self) -> Result<Config, Mistakes> {
        let mut config = config::load(self.file.config.as_deref(), environment())?;
        let server = &mut config.server;
        if !self.roles.is_empty() {
            server.roles.clone_from(&self.roles);
        }
        server.listen = self.listen.unwrap_or(server.listen);
        server.data_dir = self.data_dir.clone().or(server.data_dir.take());
        server.models_dir = self.models.clone().or(server.models_dir.take());
        Ok(config)
    }
}

/// The environment's variables, those that are no Unicode left out: none of them is a setting.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}
