//! A bank of calibrated items and the choice among them.

use super::{Ability, Exposure, Parameters};

/// Abilities for which the best items are tabled, −4 to 4 in steps of 0.05.
const ROWS: usize = 161;
/// Items tabled an ability.
const WIDTH: usize = 128;
/// Free items of a row that are compared at the exact ability.
const SHORT_LIST: usize = 8;

/// A bank of calibrated items with a table of the most informative ones by ability.
#[derive(Debug, Clone)]
pub struct Bank {
    items: Vec<Parameters>,
    width: usize,
    table: Vec<u32>,
}

fn row_theta(row: usize) -> f64 {
    (row as f64 - 80.0) / 20.0
}

fn nearest_row(theta: f64) -> usize {
    (theta * 20.0 + 80.0).round().clamp(0.0, (ROWS - 1) as f64) as usize
}

impl Bank {
    /// Tables the items: 161 abilities × 128 items, 80 KB, in some 10 ns an item and ability.
    /// Items whose parameters are not finite are never chosen.
    #[must_use]
    pub fn new(items: Vec<Parameters>) -> Self {
        let width = WIDTH.min(items.len());
        let mut table = Vec::with_capacity(ROWS * width);
        let mut ranked: Vec<(f64, u32)> = Vec::with_capacity(items.len());
        for row in 0..ROWS {
            rank(&items, row_theta(row), width, &mut ranked);
            table.extend(ranked[..width].iter().map(|&(_, index)| index));
        }
        Self { items, width, table }
    }

    /// The items.
    #[must_use]
    pub fn items(&self) -> &[Parameters] {
        &self.items
    }

    /// The most informative item at the estimated ability of those that `free` lets pass (Lord,
    /// 1980); `None` when it lets none pass. The table's rows lie so close that the best item is
    /// among the first few of the nearest one.
    pub fn select(&self, ability: &Ability, free: impl Fn(u32) -> bool) -> Option<u32> {
        let theta = ability.estimate().mean;
        let row = nearest_row(theta) * self.width;
        let tabled = self.table[row..row + self.width].iter().copied();
        let near = tabled.filter(|&index| free(index)).take(SHORT_LIST);
        self.best(theta, near)
            .or_else(|| self.best(theta, (0..self.items.len() as u32).filter(|&index| free(index))))
    }

    /// The same under an exposure cap.
    pub fn select_capped(
        &self,
        ability: &Ability,
        exposure: &Exposure,
        free: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        self.select(ability, |index| exposure.allows(index) && free(index))
    }

    fn best(&self, theta: f64, indices: impl Iterator<Item = u32>) -> Option<u32> {
        indices
            .map(|index| (information(&self.items[index as usize], theta), index))
            .filter(|(information, _)| *information >= 0.0)
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
            .map(|(_, index)| index)
    }
}

/// Fisher information; −1 where it is not finite.
fn information(item: &Parameters, theta: f64) -> f64 {
    let information = item.information(theta);
    if information.is_finite() { information } else { -1.0 }
}

/// The `width` most informative items at `theta`, in order, at the front of `ranked`.
fn rank(items: &[Parameters], theta: f64, width: usize, ranked: &mut Vec<(f64, u32)>) {
    let by_information = |a: &(f64, u32), b: &(f64, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    ranked.clear();
    ranked.extend((0..).zip(items).map(|(index, item)| (information(item, theta), index)));
    if width > 0 && width < ranked.len() {
        ranked.select_nth_unstable_by(width - 1, by_information);
    }
    ranked[..width].sort_unstable_by(by_information);
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn bank(count: usize) -> Bank {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let item = |_| Parameters {
            discrimination: rng.random_range(0.5..2.0),
            difficulty: rng.random_range(-2.5..2.5),
            guess: 0.0,
        };
        Bank::new((0..count).map(item).collect())
    }

    #[test]
    fn the_table_finds_what_a_scan_finds() {
        let bank = bank(500);
        let mut ability = Ability::new();
        let mut taken = vec![false; 500];
        for step in 0..40 {
            let free = |i: u32| !taken[i as usize];
            let theta = ability.estimate().mean;
            let scanned = bank.best(theta, (0..500).filter(|&i| free(i))).unwrap();
            let chosen = bank.select(&ability, free).unwrap();
            assert_eq!(chosen, scanned, "step {step}");
            taken[chosen as usize] = true;
            ability = ability.after(&bank.items()[chosen as usize], step % 3 != 0);
        }
    }

    #[test]
    fn what_the_table_lacks_is_found_by_a_scan() {
        let bank = bank(400);
        let row = nearest_row(0.0) * WIDTH;
        let tabled = &bank.table[row..row + WIDTH];
        let chosen = bank.select(&Ability::new(), |i| !tabled.contains(&i)).unwrap();
        assert!(!tabled.contains(&chosen));
        assert_eq!(bank.select(&Ability::new(), |_| false), None);
        assert_eq!(Bank::new(Vec::new()).select(&Ability::new(), |_| true), None);
    }

    #[test]
    fn an_item_without_parameters_is_never_chosen() {
        let broken = Parameters { discrimination: f64::NAN, difficulty: 0.0, guess: 0.0 };
        assert_eq!(Bank::new(vec![broken]).select(&Ability::new(), |_| true), None);
    }
}
