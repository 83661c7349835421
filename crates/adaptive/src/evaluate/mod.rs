//! Measuring the engine on files: response logs and adaptive tests.

mod adaptive;
mod log;
mod metrics;
mod peers;
mod policy;
mod selection;
mod test;

use std::io::{BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

pub use adaptive::{AdaptiveReport, BadRows, Options, PeerReport, adaptive};
pub use policy::{Comparison, policies};
pub use selection::{SelectionReport, selection};
pub use test::{CatReport, cat};

use crate::Error;

/// A reader of `source`, unpacked where it is compressed by gzip.
///
/// # Errors
/// When the first bytes cannot be read.
pub fn unpacked<'a>(source: impl Read + 'a) -> Result<Box<dyn Read + 'a>, Error> {
    let mut source = BufReader::new(source);
    let gzip = source.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if gzip { Box::new(MultiGzDecoder::new(source)) } else { Box::new(source) })
}

/// What is wrong with a row; `line` where the error does not tell its own.
fn row_error(line: u64, error: &csv::Error) -> Error {
    match error.kind() {
        csv::ErrorKind::Io(cause) => {
            Error::Read(std::io::Error::new(cause.kind(), cause.to_string()))
        }
        _ => Error::Row {
            line: error.position().map_or(line, csv::Position::line),
            reason: error.to_string(),
        },
    }
}
