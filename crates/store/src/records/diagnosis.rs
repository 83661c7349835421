//! What can be told of a database without changing it.

use quizmentor_core::Timestamp;
use sqlx::migrate::Migrator;

/// The state of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Which database system, and its version.
    pub system: String,
    /// Migrations that are still to be made, by their names.
    pub pending: Vec<String>,
    /// Migrations that this program does not know: they are of a later release.
    pub later: Vec<i64>,
    /// What the database's clock says, where it has one of its own.
    pub now: Option<Timestamp>,
    /// The months, this one and the next, for whose answers there is no room of their own; `None`
    /// where months need none.
    pub missing_months: Option<Vec<String>>,
    /// Damage that was found.
    pub damage: Option<String>,
}

impl Diagnosis {
    pub(super) fn new(system: String, migrations: &Migrator, made: &[i64]) -> Self {
        let known = || migrations.iter().filter(|known| !known.migration_type.is_down_migration());
        Self {
            system,
            pending: known()
                .filter(|known| !made.contains(&known.version))
                .map(|known| format!("{} {}", known.version, known.description))
                .collect(),
            later: made
                .iter()
                .copied()
                .filter(|made| known().all(|known| known.version != *made))
                .collect(),
            now: None,
            missing_months: None,
            damage: None,
        }
    }
}
