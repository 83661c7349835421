//! A file in memory without a copy of it.

#![expect(unsafe_code, reason = "a mapped file is memory that others could change")]

use std::{fs::File, io, path::Path};

use memmap2::Mmap;

/// The bytes of a file, which must not be changed in place while the process runs: replace it by
/// another file instead.
#[derive(Debug)]
pub(crate) struct Mapped(Mmap);

impl Mapped {
    /// Maps all pages of the file and reads them in.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut options = memmap2::MmapOptions::new();
        // SAFETY: the map is read only. That no one cuts or rewrites the file meanwhile cannot be
        // checked; model files are replaced as a whole, and their sums are checked on loading.
        unsafe { options.populate().map(&file) }.map(Self)
    }

    /// Keeps the pages in memory from now on.
    pub(crate) fn lock(&self) -> io::Result<()> {
        #[cfg(unix)]
        return self.0.lock();
        #[cfg(not(unix))]
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
