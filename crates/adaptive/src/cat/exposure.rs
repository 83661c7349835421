//! A cap on the share of examinees that see an item.

/// Counts of examinees by item.
#[derive(Debug, Clone, PartialEq)]
pub struct Exposure {
    cap: f64,
    examinees: u32,
    counts: Vec<u32>,
}

impl Exposure {
    /// No examinee yet; at most the share `cap` of them may see one of `items` items.
    #[must_use]
    pub fn new(items: usize, cap: f64) -> Self {
        Self { cap, examinees: 0, counts: vec![0; items] }
    }

    /// A further examinee begins.
    pub fn begin(&mut self) {
        self.examinees += 1;
    }

    /// Notes that the examinee who began last saw an item.
    pub fn note(&mut self, item: u32) {
        self.counts[item as usize] += 1;
    }

    /// Whether the cap lets a further examinee see an item. Each item may be seen once at once, so
    /// that the first examinees get one.
    #[must_use]
    pub fn allows(&self, item: u32) -> bool {
        let next = self.counts[item as usize] + 1;
        next == 1 || f64::from(next) <= self.cap * f64::from(self.examinees)
    }

    /// Examinees who saw each item.
    #[must_use]
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }
}
