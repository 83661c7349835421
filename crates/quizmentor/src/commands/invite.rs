//! `quizmentor invite`: a one-time sign-in link for an author or admin.

use clap::{Args, ValueEnum};
use quizmentor_core::{Role, SystemClock};

use super::stores::Place;
use crate::application;

#[derive(Debug, Args)]
pub(crate) struct Invite {
    /// What the new account may do
    #[arg(long, value_enum, default_value_t = Invited::Author)]
    role: Invited,
    #[command(flatten)]
    place: Place,
    /// Address under which people reach the server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
}

/// Roles that need an invitation.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Invited {
    /// Writes and imports questions
    Author,
    /// Invites others, too
    Admin,
}

pub(crate) fn run(arguments: &Invite) -> anyhow::Result<()> {
    let role = match arguments.role {
        Invited::Author => Role::Author,
        Invited::Admin => Role::Admin,
    };
    let url = arguments.url.trim_end_matches('/');
    arguments.place.with_records(async |records| {
        let (link, minutes) =
            application::sign_in_link(records.as_ref(), &SystemClock, role, url).await?;
        println!("{link}");
        eprintln!("It works once, within {minutes} minutes.");
        Ok(())
    })
}
