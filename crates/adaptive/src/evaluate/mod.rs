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
