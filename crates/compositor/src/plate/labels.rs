//! Where each pixel is copied from at the end: by patches that fit, and in pieces whose seams are not seen.

use super::level::Level;
use super::patch::{RADIUS, SCALE};
use super::search::Field;
use super::vote;

/// Times that all pixels are asked again.
const PASSES: usize = 8;
/// What a seam costs where one of its sides cannot be compared, as squared difference of two pixels: a visible one.
const UNSEEN: f32 = 3.0 * 40.0 * 40.0;
/// How much the fit of the patch around a pixel counts beside its seams.
const FIT: f32 = 0.3;
/// A pixel that is not copied.
const NOTHING: u32 = u32::MAX;

/// For each unknown pixel the index of the one that it is a copy of.
///
/// It starts with what the best patch that covers a pixel says, which by itself makes grains where many patches are as good. Then
/// each pixel takes over from the pixels around it where they have their copies from, if that makes seams less visible and fits.
pub(super) fn choose(level: &Level, field: &Field) -> Vec<u32> {
    let (width, height) = (level.width, level.height);
    let mut from = vec![NOTHING; width * height];
    let mut places = Vec::new();
    for (at, from) in from.iter_mut().enumerate() {
        if level.unknown[at] {
            let found = vote::best(level, field, at % width, at / width);
            *from = found.unwrap_or(level.source_list[0] as usize) as u32;
            places.push(at);
        }
    }
    for pass in 0..PASSES {
        let mut changed = false;
        for step in 0..places.len() {
            let at = if pass.is_multiple_of(2) {
                places[step]
            } else {
                places[places.len() - 1 - step]
            };
            changed |= improve(level, &mut from, at);
        }
        if !changed {
            break;
        }
    }
    from
}

/// Takes over a neighbour's way to its source if that is better; whether it did.
fn improve(level: &Level, from: &mut [u32], at: usize) -> bool {
    let width = level.width as i64;
    let own = from[at] as i64 - at as i64;
    let mut tried = [own; 5];
    let mut count = 1;
    for step in [-1, 1, -width, width] {
        let Some(next) = neighbour(level, at, step) else {
            continue;
        };
        if from[next] == NOTHING {
            continue;
        }
        let theirs = from[next] as i64 - next as i64;
        if !tried[..count].contains(&theirs) {
            tried[count] = theirs;
            count += 1;
        }
    }
    if count == 1 {
        return false;
    }
    let mut best = (f32::INFINITY, own);
    for &offset in &tried[..count] {
        if let Some(cost) = cost(level, from, at, offset, best.0)
            && cost < best.0
        {
            best = (cost, offset);
        }
    }
    from[at] = (at as i64 + best.1) as u32;
    best.1 != own
}

/// What is seen of a pixel that is copied from `offset` away; nothing if there is nothing to copy.
fn cost(level: &Level, from: &[u32], at: usize, offset: i64, most: f32) -> Option<f32> {
    let width = level.width as i64;
    let source = usable(level, at as i64 + offset)?;
    let mut sum = 0.0;
    for step in [-1, 1, -width, width] {
        let Some(next) = neighbour(level, at, step) else {
            continue;
        };
        let beside = usable(level, next as i64 + offset);
        if from[next] == NOTHING {
            // The rim: what would be there, and what is.
            sum += 2.0 * beside.map_or(UNSEEN, |beside| apart(level, beside, next));
            continue;
        }
        let theirs = from[next] as i64 - next as i64;
        if theirs == offset {
            continue;
        }
        let back = usable(level, at as i64 + theirs);
        sum += beside.map_or(UNSEEN, |beside| apart(level, beside, from[next] as usize));
        sum += back.map_or(UNSEEN, |back| apart(level, back, source));
        if sum > most {
            return Some(sum);
        }
    }
    let inside = |at: usize| {
        let (x, y) = (at % level.width, at / level.width);
        x >= RADIUS && y >= RADIUS && x + RADIUS < level.width && y + RADIUS < level.height
    };
    if inside(at) && inside(source) {
        sum += FIT * level.distance(at, source, u32::MAX) as f32 / (49.0 * SCALE * SCALE);
    }
    Some(sum)
}

/// The pixel one step away, if it is not on the other side of the picture.
fn neighbour(level: &Level, at: usize, step: i64) -> Option<usize> {
    let next = at as i64 + step;
    let (x, next_x) = (
        at % level.width,
        next.rem_euclid(level.width as i64) as usize,
    );
    let inside = next >= 0 && next < (level.width * level.height) as i64;
    (inside && x.abs_diff(next_x) <= 1).then_some(next as usize)
}

/// The pixel there, if it may be copied.
fn usable(level: &Level, at: i64) -> Option<usize> {
    let inside = at >= 0 && at < level.allowed.len() as i64;
    (inside && level.allowed[at as usize]).then_some(at as usize)
}

/// How different the colours of two pixels are, squared.
fn apart(level: &Level, a: usize, b: usize) -> f32 {
    let pairs = level.texel(a).iter().zip(level.texel(b)).take(3);
    pairs
        .map(|(&a, &b)| (f32::from(a) - f32::from(b)).powi(2))
        .sum::<f32>()
        / (SCALE * SCALE)
}
