//! Secrets come from files, never from settings or the environment.

use std::{
    fmt, fs,
    io::{ErrorKind, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use rand::RngExt;

use super::Config;

/// A token key shorter than this (bytes) could be guessed.
const KEY_BYTES: usize = 32;
/// Name of the token key's file, and of its credential.
const TOKEN_KEY: &str = "token-key";

/// Bytes that are never shown.
#[derive(Clone)]
pub(crate) struct Secret(Vec<u8>);

impl Secret {
    /// The bytes themselves.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The same as text.
    pub(crate) fn text(&self) -> anyhow::Result<&str> {
        Ok(std::str::from_utf8(&self.0)?)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(…)")
    }
}

/// The key that signs tokens: from the file that is set, else from `$CREDENTIALS_DIRECTORY`, else
/// from the data directory, where it is made (readable by its owner only) if it is not there yet.
///
/// # Errors
///
/// When the file cannot be read or made, or holds fewer than 32 bytes.
pub(crate) fn token_key(config: &Config, data_dir: &Path) -> anyhow::Result<Secret> {
    let file = match token_key_file(config, data_dir) {
        Some(file) => file,
        None => {
            let file = data_dir.join(TOKEN_KEY);
            create(&file)?;
            file
        }
    };
    let key = read_token_key(&file)?;
    if is_open_to_all(&file) {
        tracing::warn!(file = %file.display(), "every user of this machine can read the token key");
    }
    Ok(key)
}

/// Where the key that signs tokens is; `None` where the first start will make it.
pub(crate) fn token_key_file(config: &Config, data_dir: &Path) -> Option<PathBuf> {
    let set = config.auth.token_key_file.clone().or_else(|| credential(TOKEN_KEY));
    set.or_else(|| Some(data_dir.join(TOKEN_KEY)).filter(|file| file.exists()))
}

/// The key in `file`.
///
/// # Errors
///
/// When the file cannot be read, or holds fewer than 32 bytes.
pub(crate) fn read_token_key(file: &Path) -> anyhow::Result<Secret> {
    let key = read(file, "token key")?;
    ensure!(
        key.0.len() >= KEY_BYTES,
        "the token key {} has {} bytes; at least {KEY_BYTES} are needed",
        file.display(),
        key.0.len()
    );
    Ok(key)
}

/// Whether every user of the machine can read or change the file.
pub(crate) fn is_open_to_all(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.mode() & 0o007 != 0)
}

/// A secret shared with a server, such as a password: from `file`, else from the credential
/// `name` in `$CREDENTIALS_DIRECTORY`; `None` where there is neither.
///
/// # Errors
///
/// When the file cannot be read, or holds no text or none at all.
pub(crate) fn shared_secret(file: Option<&Path>, name: &str) -> anyhow::Result<Option<Secret>> {
    let Some(file) = file.map(Path::to_owned).or_else(|| credential(name)) else {
        return Ok(None);
    };
    let secret = read(&file, name)?;
    let text = secret.text().with_context(|| format!("{} holds no text", file.display()))?;
    ensure!(!text.is_empty(), "{} is empty; the {name} is expected in it", file.display());
    Ok(Some(secret))
}

/// The file of a credential that the service manager hands over, if it is there.
fn credential(name: &str) -> Option<PathBuf> {
    let file = PathBuf::from(std::env::var_os("CREDENTIALS_DIRECTORY")?).join(name);
    file.exists().then_some(file)
}

/// The content of `file`, which holds the secret `name`, without the line end that editors add.
fn read(file: &Path, name: &str) -> anyhow::Result<Secret> {
    let mut bytes =
        fs::read(file).with_context(|| format!("cannot read the {name} {}", file.display()))?;
    bytes.truncate(bytes.trim_ascii_end().len());
    Ok(Secret(bytes))
}

/// Writes a new random key to `file`, whole or not at all; one made meanwhile by another process
/// stays.
fn create(file: &Path) -> anyhow::Result<()> {
    let context = || format!("cannot make the token key {}", file.display());
    let key: [u8; KEY_BYTES] = rand::rng().random();
    let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let dir = file.parent().unwrap_or(Path::new("."));
    let mut draft = tempfile::NamedTempFile::new_in(dir).with_context(context)?;
    draft
        .write_all(text.as_bytes())
        .and_then(|()| draft.as_file().sync_all())
        .with_context(context)?;
    match draft.persist_noclobber(file) {
        Err(refused) if refused.error.kind() != ErrorKind::AlreadyExists => {
            Err(refused.error).with_context(context)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let config = crate::config::load(None, []).unwrap();
        assert_eq!(token_key_file(&config, dir.path()), None);
        let first = token_key(&config, dir.path()).unwrap();
        let second = token_key(&config, dir.path()).unwrap();
        assert_eq!(first.expose(), second.expose());
        assert_eq!(first.expose().len(), 2 * KEY_BYTES);
        let mode = fs::metadata(dir.path().join("token-key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(format!("{first:?}"), "Secret(…)");
    }

    #[test]
    fn a_short_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        fs::write(&file, "only sixteen byt\n").unwrap();
        let mut config = crate::config::load(None, []).unwrap();
        config.auth.token_key_file = Some(file);
        let error = token_key(&config, dir.path()).unwrap_err().to_string();
        assert!(error.contains("has 16 bytes; at least 32"), "{error}");
    }

    #[test]
    fn a_key_file_that_is_set_is_never_made() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = crate::config::load(None, []).unwrap();
        config.auth.token_key_file = Some(dir.path().join("token-key"));
        let error = token_key(&config, dir.path()).unwrap_err().to_string();
        assert!(error.contains("cannot read the token key"), "{error}");
    }

    #[test]
    fn a_shared_secret_is_text_without_its_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        let secret = |content: &[u8]| {
            fs::write(&file, content).unwrap();
            shared_secret(Some(&file), "records-password")
        };
        assert_eq!(secret(b"s3cr t\r\n").unwrap().unwrap().text().unwrap(), "s3cr t");
        assert!(format!("{:#}", secret(b"\n").unwrap_err()).contains("is empty"));
        assert!(format!("{:#}", secret(b"\xff").unwrap_err()).contains("holds no text"));
        let absent = shared_secret(Some(&dir.path().join("absent")), "records-password");
        let error = format!("{:#}", absent.unwrap_err());
        assert!(error.starts_with("cannot read the records-password "), "{error}");
    }
}
