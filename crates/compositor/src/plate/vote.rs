//! What unknown pixels become, by the patches that were found: everyone that covers a pixel has a vote.

use super::level::{CHANNELS, Level};
use super::parallel::rows;
use super::patch::{RADIUS, SIDE};
use super::search::{Field, Match};

/// The first guess: from the rim inwards, ring by ring, each pixel is copied from where its known surroundings fit best.
pub(super) fn peel(level: &mut Level) {
    let (width, height) = (level.width, level.height);
    let mut known: Vec<bool> = level.unknown.iter().map(|u| !u).collect();
    loop {
        let ring: Vec<usize> = (0..width * height)
            .filter(|&at| {
                let (x, y) = (at % width, at / width);
                !known[at]
                    && ((x > 0 && known[at - 1])
                        || (x + 1 < width && known[at + 1])
                        || (y > 0 && known[at - width])
                        || (y + 1 < height && known[at + width]))
            })
            .collect();
        if ring.is_empty() {
            break;
        }
        let mut made = vec![[0_i16; CHANNELS]; ring.len()];
        rows(&mut made, 1, |index, made| {
            let at = ring[index];
            let x = (at % width).clamp(RADIUS, width - 1 - RADIUS);
            let y = (at / width).clamp(RADIUS, height - 1 - RADIUS);
            let centre = y * width + x;
            let mut best = (u64::MAX, level.source_list[0]);
            for source in candidates(level, centre) {
                let cost = partly(level, &known, centre, source as usize, best.0);
                if cost < best.0 {
                    best = (cost, source);
                }
            }
            let from = at + best.1 as usize - centre;
            made[0].copy_from_slice(level.texel(from));
        });
        for (&at, made) in ring.iter().zip(&made) {
            level.texels[at * CHANNELS..][..CHANNELS].copy_from_slice(made);
            known[at] = true;
        }
    }
}

/// Patches to try for one: all, or, where those are too many, the ones around it and some from everywhere.
fn candidates(level: &Level, centre: usize) -> impl Iterator<Item = u32> {
    const ALL: usize = 4096;
    const FAR: usize = 512;
    const REACH: usize = 12;
    let list = &level.source_list;
    let few = list.len() <= ALL;
    let (x, y) = (centre % level.width, centre / level.width);
    let reach = if few { 0 } else { REACH };
    let across = x.saturating_sub(reach)..(x + reach).min(level.width);
    let near = (y.saturating_sub(reach)..(y + reach).min(level.height))
        .flat_map(move |y| across.clone().map(move |x| y * level.width + x))
        .filter(|&at| level.sources[at])
        .map(|at| at as u32);
    let step = if few { 1 } else { list.len() / FAR };
    list.iter().copied().step_by(step).chain(near)
}

/// The distance of two patches over what is known of the first.
fn partly(level: &Level, known: &[bool], centre: usize, source: usize, most: u64) -> u64 {
    let corner = RADIUS * level.width + RADIUS;
    let mut sum = u64::from(level.beside(centre, source));
    for dy in 0..SIDE {
        for dx in 0..SIDE {
            let step = dy * level.width + dx;
            let (a, b) = (centre - corner + step, source - corner + step);
            if !known[a] {
                continue;
            }
            let pairs = level.texel(a).iter().zip(level.texel(b));
            sum += pairs
                .map(|(&a, &b)| (i64::from(a) - i64::from(b)).pow(2) as u64)
                .sum::<u64>();
        }
        if sum > most {
            break;
        }
    }
    sum
}

/// How votes count.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Count {
    /// Averaged, the better matches more.
    Mean,
    /// The best match alone: nothing is blurred.
    Best,
}

/// The patches that cover pixel (x, y): their centres and matches.
pub(super) fn covering(
    level: &Level,
    field: &Field,
    x: usize,
    y: usize,
) -> impl Iterator<Item = (usize, Match)> {
    let width = level.width;
    let across = x.saturating_sub(RADIUS)..=(x + RADIUS).min(width - 1);
    let down = y.saturating_sub(RADIUS)..=(y + RADIUS).min(level.height - 1);
    down.flat_map(move |y| across.clone().map(move |x| y * width + x))
        .map(|at| (at, field[at]))
        .filter(|(_, found)| found.at != u32::MAX)
}

/// Gives every unknown pixel what its patches say.
pub(super) fn vote(level: &mut Level, field: &Field, count: Count) {
    let width = level.width;
    let mut made = vec![[0_i16; CHANNELS]; width * level.height];
    rows(&mut made, width, |y, row| {
        for (x, made) in row.iter_mut().enumerate() {
            let at = y * width + x;
            if !level.unknown[at] {
                continue;
            }
            match count {
                Count::Mean => *made = mean(level, field, x, y),
                Count::Best => {
                    if let Some(from) = best(level, field, x, y) {
                        made.copy_from_slice(level.texel(from));
                    }
                }
            }
        }
    });
    for (at, made) in made.iter().enumerate() {
        if level.unknown[at] {
            level.texels[at * CHANNELS..][..CHANNELS].copy_from_slice(made);
        }
    }
}

/// Where the best of the patches that cover a pixel has it from.
pub(super) fn best(level: &Level, field: &Field, x: usize, y: usize) -> Option<usize> {
    let at = y * level.width + x;
    covering(level, field, x, y)
        .min_by_key(|(_, found)| found.cost)
        .map(|(centre, found)| at + found.at as usize - centre)
}

fn mean(level: &Level, field: &Field, x: usize, y: usize) -> [i16; CHANNELS] {
    let at = y * level.width + x;
    let (mut costs, mut votes) = (0.0, 0.0);
    for (_, found) in covering(level, field, x, y) {
        costs += found.cost as f32;
        votes += 1.0;
    }
    // What is usual here: far worse matches are wrong ones.
    let usual = costs / f32::max(votes, 1.0) + 1.0;
    let mut sum = [0.0; CHANNELS];
    let mut weights = 0.0;
    for (centre, found) in covering(level, field, x, y) {
        let weight = (-(found.cost as f32) / usual).exp().max(1e-6) * level.trust[centre];
        weights += weight;
        let texel = level.texel(at + found.at as usize - centre);
        for (sum, &value) in sum.iter_mut().zip(texel) {
            *sum += weight * f32::from(value);
        }
    }
    sum.map(|sum| (sum / f32::max(weights, 1e-30)).round() as i16)
}
