//! From the coarsest size of a picture to finer ones: rounds of searching and averaging at each.

use super::level::Level;
use super::search::{self, Field};
use super::vote::{self, Count};

/// Rounds of searching and averaging: at the picture's own size, at half of it, and so on.
const ROUNDS: [usize; 5] = [2, 3, 4, 5, 6];
/// Passes of the search in each round.
const PASSES: usize = 2;

/// A picture's sizes, of which those from the coarsest down to some one are filled.
pub(super) struct Descent {
    /// The finest first.
    pub levels: Vec<Level>,
    /// The number of the first of them: 0 is the picture's own size, 1 half of it.
    first: usize,
    pub field: Field,
    /// Which of the levels is being filled, and how many rounds it had.
    pub at: usize,
    round: usize,
}

/// What a step did.
pub(super) enum Step {
    /// A round of searching and averaging, at a cost.
    Round(u32),
    /// The next finer size was begun.
    Finer,
}

impl Descent {
    /// Of levels, the first of which is number `first`.
    pub(super) fn new(levels: Vec<Level>, first: usize) -> Self {
        Self {
            at: levels.len().saturating_sub(1),
            levels,
            first,
            field: Field::new(),
            round: 0,
        }
    }

    /// The number of the finest level.
    pub(super) fn first(&self) -> usize {
        self.first
    }

    /// The number of the level that is being filled.
    pub(super) fn number(&self) -> usize {
        self.first + self.at
    }

    pub(super) fn level(&self) -> &Level {
        &self.levels[self.at]
    }

    /// What all rounds cost.
    pub(super) fn total(&self) -> u32 {
        let numbered = (self.first..).zip(&self.levels);
        numbered
            .map(|(number, level)| rounds(number) as u32 * work(level))
            .sum()
    }

    /// Whether the level that is being filled has had all of its rounds.
    pub(super) fn is_filled(&self) -> bool {
        self.round == rounds(self.number())
    }

    /// One round, or, where a level has had them all, the beginning of the next one; not to be asked after the last.
    pub(super) fn step(&mut self) -> Step {
        if self.is_filled() {
            self.at -= 1;
            self.round = 0;
            let [fine, coarse] = &mut self.levels[self.at..self.at + 2] else {
                unreachable!("two levels are left");
            };
            self.field = search::doubled(coarse, &self.field, fine);
            vote::vote(fine, &self.field, Count::Mean);
            return Step::Finer;
        }
        let number = self.number();
        let level = &mut self.levels[self.at];
        if self.field.is_empty() {
            vote::peel(level);
            self.field = search::first(level);
        }
        for pass in 0..PASSES {
            let seed = (number * 64 + self.round) * PASSES + pass;
            self.field = search::refine(level, &self.field, seed as u64);
        }
        self.round += 1;
        let count = if number == 0 && self.round + 1 >= rounds(0) {
            Count::Best
        } else {
            Count::Mean
        };
        vote::vote(level, &self.field, count);
        Step::Round(work(level))
    }

    /// How badly the patches that were found fit on average, whatever a guide says of them and wherever they are from.
    pub(super) fn misfit(&self) -> f64 {
        let level = self.level();
        let found = self.field.iter().enumerate();
        let found = found.filter(|(_, found)| found.at != u32::MAX);
        let (sum, count) = found.fold((0.0, 0.0), |(sum, count), (at, found)| {
            let from = found.at as usize;
            let misfit = level.distance(at, from, u32::MAX) - level.beside(at, from);
            (sum + f64::from(misfit), count + 1.0)
        });
        sum / f64::max(count, 1.0)
    }

    /// Goes on from what another one has filled, which lacks the finer levels, and forgets what a guide says.
    pub(super) fn take(&mut self, other: Self) {
        let fine = other.first - self.first;
        self.levels.truncate(fine);
        for level in &mut self.levels {
            level.guidance = None;
        }
        self.levels.extend(other.levels);
        self.at = fine + other.at;
        self.field = other.field;
        self.round = other.round;
    }
}

fn rounds(number: usize) -> usize {
    ROUNDS[number.min(ROUNDS.len() - 1)]
}

/// What a round costs, about.
fn work(level: &Level) -> u32 {
    1 + level.target_count as u32 / 256
}
