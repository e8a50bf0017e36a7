//! Which patch of the known picture is most like each patch that shows something unknown: by random search and by asking the
//! neighbours (PatchMatch, Barnes and others 2009).

use super::level::Level;
use super::parallel::rows;
use super::patch::RADIUS;

/// The patch that one was found most like.
#[derive(Clone, Copy)]
pub(super) struct Match {
    /// Its centre, as index into the level.
    pub at: u32,
    /// How far from it, as [`Level::distance`] has it.
    pub cost: u32,
}

impl Match {
    /// Of what is no target.
    pub(super) const NONE: Self = Self {
        at: u32::MAX,
        cost: u32::MAX,
    };
}

/// For every target of a level the best patch so far, [`Match::NONE`] elsewhere.
pub(super) type Field = Vec<Match>;

/// How far away neighbours are asked for theirs: the next ones, and one beyond, since rows above and below answer only with
/// what they had in the pass before.
const STEPS: [i32; 2] = [1, 4];

/// Numbers that look random and are the same for the same seed (splitmix64).
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64, at: usize) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ ((at as u64) << 20))
    }

    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 32) as u32
    }

    /// 0 to `below`, without it.
    pub(super) fn below(&mut self, below: usize) -> usize {
        ((u64::from(self.next()) * below as u64) >> 32) as usize
    }

    /// `-reach` to `reach`.
    fn around(&mut self, reach: i32) -> i32 {
        self.below(2 * reach as usize + 1) as i32 - reach
    }
}

/// Comparisons of patches up to which all are made.
const ALL: usize = 20_000_000;
/// Passes of the search that take their place.
const PASSES: u64 = 12;

/// The matches of every target of the coarsest level: the best ones if it is small.
pub(super) fn first(level: &Level) -> Field {
    if level.target_count * level.source_list.len() <= ALL {
        return exhaustive(level);
    }
    let mut field = vec![Match::NONE; level.width * level.height];
    for (at, found) in field
        .iter_mut()
        .enumerate()
        .filter(|(at, _)| level.targets[*at])
    {
        found.at = level.source_list[Chance::new(0, at).below(level.source_list.len())];
    }
    for pass in 0..PASSES {
        field = refine(level, &field, u64::MAX - pass);
    }
    field
}

/// The best match of every target, all sources tried.
fn exhaustive(level: &Level) -> Field {
    let mut field = vec![Match::NONE; level.width * level.height];
    rows(&mut field, level.width, |y, row| {
        for (x, found) in row.iter_mut().enumerate() {
            let at = y * level.width + x;
            if !level.targets[at] {
                continue;
            }
            for &source in &level.source_list {
                let cost = level.distance(at, source as usize, found.cost);
                if cost < found.cost {
                    *found = Match { at: source, cost };
                }
            }
        }
    });
    field
}

/// One pass of random search and of asking neighbours; the costs of what is kept are computed anew. `pass` is another number
/// for each pass: it tells the direction, and draws other numbers.
pub(super) fn refine(level: &Level, field: &Field, pass: u64) -> Field {
    let width = level.width as i32;
    let height = level.height as i32;
    let mut made = field.clone();
    rows(&mut made, level.width, |y, row| {
        // Back and forth, so that along a row good matches travel as far as they are good.
        let forwards = pass.is_multiple_of(2);
        for step in 0..level.width {
            let x = if forwards {
                step
            } else {
                level.width - 1 - step
            };
            let at = y * level.width + x;
            if !level.targets[at] {
                continue;
            }
            let old = row[x].at as usize;
            let mut best = Match {
                at: old as u32,
                cost: level.distance(at, old, u32::MAX),
            };
            let try_at = |best: &mut Match, sx: i32, sy: i32| {
                if sx < 0 || sy < 0 || sx >= width || sy >= height {
                    return;
                }
                let source = (sy * width + sx) as usize;
                if source == best.at as usize || !level.sources[source] {
                    return;
                }
                let cost = level.distance(at, source, best.cost);
                if cost < best.cost {
                    *best = Match {
                        at: source as u32,
                        cost,
                    };
                }
            };
            for step in STEPS {
                for (dx, dy) in [(-step, 0), (step, 0), (0, -step), (0, step)] {
                    let (nx, ny) = (x as i32 + dx, y as i32 + dy);
                    if nx < 0 || ny < 0 || nx >= width || ny >= height {
                        continue;
                    }
                    let theirs = if dy == 0 {
                        row[nx as usize]
                    } else {
                        field[(ny * width + nx) as usize]
                    };
                    if theirs.at == u32::MAX {
                        continue;
                    }
                    let theirs = theirs.at as i32;
                    try_at(&mut best, theirs % width - dx, theirs / width - dy);
                }
            }
            let mut chance = Chance::new(pass, at);
            let anywhere = level.source_list[chance.below(level.source_list.len())] as i32;
            try_at(&mut best, anywhere % width, anywhere / width);
            let mut reach = width.max(height) / 2;
            while reach >= 1 {
                let (bx, by) = (best.at as i32 % width, best.at as i32 / width);
                let (dx, dy) = (chance.around(reach), chance.around(reach));
                try_at(&mut best, bx + dx, by + dy);
                reach /= 2;
            }
            row[x] = best;
        }
    });
    made
}

/// The field of a level of half the size, for this one: every match twice as far.
pub(super) fn doubled(coarse: &Level, field: &Field, fine: &Level) -> Field {
    let mut made = vec![Match::NONE; fine.width * fine.height];
    // Where patches lie in the picture near its border.
    let inside = |x: usize, size: usize| x.clamp(RADIUS, size - 1 - RADIUS);
    rows(&mut made, fine.width, |y, row| {
        for (x, found) in row.iter_mut().enumerate() {
            let at = y * fine.width + x;
            if !fine.targets[at] {
                continue;
            }
            let (cx, cy) = (
                inside(x / 2, coarse.width) as i32,
                inside(y / 2, coarse.height) as i32,
            );
            // The nearest target: at its rim the finer level may have some that the coarser has not.
            let near = [
                (0, 0),
                (-1, 0),
                (1, 0),
                (0, -1),
                (0, 1),
                (-1, -1),
                (1, -1),
                (-1, 1),
                (1, 1),
            ]
            .into_iter()
            .map(|(dx, dy)| (cx + dx, cy + dy))
            .filter(|&(x, y)| {
                x >= 0 && y >= 0 && x < coarse.width as i32 && y < coarse.height as i32
            })
            .map(|(x, y)| (x, y, field[y as usize * coarse.width + x as usize]))
            .find(|(_, _, theirs)| theirs.at != u32::MAX);
            let source = near.and_then(|(nx, ny, theirs)| {
                let (sx, sy) = (
                    theirs.at as i32 % coarse.width as i32,
                    theirs.at as i32 / coarse.width as i32,
                );
                valid_near(fine, x as i32 + 2 * (sx - nx), y as i32 + 2 * (sy - ny)).map(|at| {
                    Match {
                        at,
                        cost: theirs.cost,
                    }
                })
            });
            *found = source.unwrap_or_else(|| {
                let list = &fine.source_list;
                Match {
                    at: list[Chance::new(0, at).below(list.len())],
                    // It is not to have a say before it was compared.
                    cost: u32::MAX / 2,
                }
            });
        }
    });
    made
}

/// A source at most two pixels from there.
fn valid_near(level: &Level, x: i32, y: i32) -> Option<u32> {
    for reach in 0..=2_i32 {
        for dy in -reach..=reach {
            for dx in -reach..=reach {
                let (x, y) = (x + dx, y + dy);
                let inside = x >= 0 && y >= 0 && x < level.width as i32 && y < level.height as i32;
                if dx.abs().max(dy.abs()) == reach && inside {
                    let at = y as usize * level.width + x as usize;
                    if level.sources[at] {
                        return Some(at as u32);
                    }
                }
            }
        }
    }
    None
}
