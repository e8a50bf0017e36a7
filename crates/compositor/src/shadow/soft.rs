//! Soft shadows: how the ground gets darker towards a thing, without an edge anywhere.
//!
//! A thing keeps the light of the sky or of a room from the ground around it, the more the nearer. No level of light tells such a
//! shadow's outline, since it has none. The light of the ground further away is therefore taken for a plane, and what is missing of
//! it near the thing, where it hangs together with the thing and ends without a step, is the shadow. What ends with a step is
//! another thing, or another ground.

use super::cast::{Ground, median};
use crate::mean::box_mean;
use dragentity_core::scene::{Mask, raster};

/// How far from the thing the ground is darkened at most, by the square root of the thing's area; as far again is the ground that
/// tells the light.
const REACH: f32 = 0.6;
/// What is less than this, as a logarithm, is none; and what is more is no soft shadow.
const LEAST: f32 = 0.015;
const MOST: f32 = 0.8;
/// How much the light may differ from one pixel to the next: more is an edge.
const STEP: f32 = 0.045;
/// The same by how dark it is: near the thing a shadow gets darker fast.
const STEEP: f32 = 0.25;
/// By how much it may get darker again, away from the thing.
const RISE: f32 = 0.02;
/// How far from the thing it begins, in pixels.
const BESIDE: f32 = 2.5;
/// Over how many pixels, each way, it ends.
const SOFT: i64 = 3;
/// How far a shadow's tint may be from the ground's there, as differences of logarithms.
const TINT: f32 = 0.1;
/// The same, for each unit of how dark it is: things colour what is near them.
const TINGED: f32 = 0.3;
/// How far the ground's light may be from a plane, as the middle half of the differences, and how often it is tried again without
/// what is further from it than some times that.
const UNEVEN: f32 = 0.05;
const TRIED: usize = 6;
/// How much of the ground is to be left then.
const SAME: f32 = 0.6;
/// How dark it is to be near the thing, in the mean, so that anybody sees it.
const SEEN: f32 = 0.03;
/// How dark at most: more is something that is dark itself.
const DARK: f32 = 0.45;
/// How much of its outline is to have faded as far as that, where it does not end at another thing.
const FADES: f32 = 0.5;
const FADED: f32 = 0.05;
/// How much of it may still be dark at the end of the reach: more is the ground's own light.
const ENDLESS: f32 = 0.12;
/// Fewest pixels of ground, and of a shadow.
const FEWEST: usize = 80;
const CRUMB: usize = 30;

/// A plane over the picture: its value at the upper left corner, and what it rises by pixel to the right and down.
#[derive(Clone, Copy)]
struct Plane([f32; 3]);

impl Plane {
    fn at(&self, x: f32, y: f32) -> f32 {
        self.0[0] + self.0[1] * x + self.0[2] * y
    }

    /// Through points (x, y, value), as least squares have it; `None` when they lie along a line.
    fn through(points: &[[f32; 3]]) -> Option<Self> {
        let mut m = [[0.0_f64; 4]; 3];
        for &[x, y, value] in points {
            let row = [1.0, f64::from(x), f64::from(y), f64::from(value)];
            for (i, line) in m.iter_mut().enumerate() {
                for (sum, v) in line.iter_mut().zip(row) {
                    *sum += row[i] * v;
                }
            }
        }
        for i in 0..3 {
            let pivot = m[i];
            if pivot[i].abs() < 1e-6 {
                return None;
            }
            for (j, line) in m.iter_mut().enumerate() {
                if j != i {
                    let by = line[i] / pivot[i];
                    for (v, p) in line.iter_mut().zip(pivot) {
                        *v -= by * p;
                    }
                }
            }
        }
        Some(Self([0, 1, 2].map(|i| (m[i][3] / m[i][i]) as f32)))
    }
}

impl Ground {
    /// What of the ground's light is missing around the thing, as a logarithm, 0 where nothing is: for each pixel of a picture of
    /// `size`. `hard` are shadows that have been found: they are neither looked at nor taken for ground. `None` where nothing is
    /// missing.
    pub(super) fn soft(&self, hard: Option<&Mask>, size: [u32; 2]) -> Option<Vec<[f32; 3]>> {
        let hard: Vec<bool> = match hard {
            Some(hard) => {
                let small = hard.resized(self.width as u32, self.height as u32);
                small.alpha.iter().map(|&a| a > 24).collect()
            }
            None => vec![false; self.light.len()],
        };
        self.softly(&hard)
            .map(|missing| self.enlarged(&missing, size))
    }

    /// The same for each pixel that is looked at.
    fn softly(&self, hard: &[bool]) -> Option<Vec<[f32; 3]>> {
        let reach = REACH * (self.area as f32).sqrt();
        let away = self.away(reach);
        let open = |at: usize| !self.closed[at] && !hard[at];
        let ring = |at: &usize| open(*at) && (reach..2.0 * reach).contains(&away[*at]);
        let all: Vec<usize> = (0..self.light.len()).filter(ring).collect();
        // Behind what stands on the ground there is often something else: then the ground at its feet is enough.
        let [top, bottom] = self.rows;
        let feet = bottom - (bottom - top) / 3;
        let low = |at: &usize| *at / self.width >= feet;
        let beside: Vec<usize> = all.iter().copied().filter(low).collect();
        [(0, all), (feet, beside)]
            .into_iter()
            .find_map(|(from, ground)| self.missing(&ground, from, &away, reach, hard))
    }

    /// How far from the thing each pixel is, as far as somewhat more than twice `reach`.
    fn away(&self, reach: f32) -> Vec<f32> {
        let open = Mask {
            width: self.width as u32,
            height: self.height as u32,
            alpha: self.thing.iter().map(|&t| 255 * u8::from(!t)).collect(),
        };
        let far = raster::squared_distances_within(&open);
        far.into_iter()
            .map(|far| far.sqrt().min(2.5 * reach))
            .collect()
    }

    /// The planes of the light and of each channel over pixels of `ground`; `None` where they are not one ground.
    fn lit(&self, ground: &[usize], channels: &[[f32; 3]]) -> Option<(Plane, [Plane; 3])> {
        let mut kept = ground.to_vec();
        let mut even = false;
        for _ in 0..TRIED {
            if kept.len() < FEWEST || (kept.len() as f32) < SAME * ground.len() as f32 {
                return None;
            }
            let plane = self.plane(&kept, |at| self.light[at])?;
            let off = |at: usize| (self.light[at] - self.on(&plane, at)).abs();
            let middle = median(kept.iter().map(|&at| off(at)));
            even = middle <= UNEVEN;
            let most = (3.0 * middle).max(0.02);
            kept = ground
                .iter()
                .copied()
                .filter(|&at| off(at) <= most)
                .collect();
        }
        if !even {
            return None;
        }
        let of = |c: usize| self.plane(&kept, |at| channels[at][c]);
        Some((
            self.plane(&kept, |at| self.light[at])?,
            [of(0)?, of(1)?, of(2)?],
        ))
    }

    /// The plane through what some pixels have.
    fn plane(&self, pixels: &[usize], value: impl Fn(usize) -> f32) -> Option<Plane> {
        let place = |at: usize| [(at % self.width) as f32, (at / self.width) as f32];
        let point = |&at: &usize| {
            let [x, y] = place(at);
            [x, y, value(at)]
        };
        let points: Vec<[f32; 3]> = pixels.iter().map(point).collect();
        Plane::through(&points)
    }

    /// What a plane has at a pixel.
    fn on(&self, plane: &Plane, at: usize) -> f32 {
        plane.at((at % self.width) as f32, (at / self.width) as f32)
    }

    /// The logarithms of red, green and blue without their grain.
    fn channels(&self) -> Vec<[f32; 3]> {
        let weighed = self.log.iter().zip(&self.closed);
        let weighed: Vec<[f32; 4]> = weighed
            .map(|(&[r, g, b, _], closed)| if *closed { [0.0; 4] } else { [r, g, b, 1.0] })
            .collect();
        let means = box_mean(&weighed, self.width, self.height, 1).into_iter();
        means
            .map(|[r, g, b, n]| [r, g, b].map(|v| v / n.max(1e-6)))
            .collect()
    }

    /// What is missing of the light of `ground`, from a row on.
    fn missing(
        &self,
        ground: &[usize],
        from: usize,
        away: &[f32],
        reach: f32,
        hard: &[bool],
    ) -> Option<Vec<[f32; 3]>> {
        let channels = self.channels();
        let (plane, planes) = self.lit(ground, &channels)?;
        let (width, area) = (self.width, self.light.len());
        let lack: Vec<f32> = (0..area)
            .map(|at| self.on(&plane, at) - self.light[at])
            .collect();
        let apart = |at: usize| [0, 1, 2].map(|c: usize| self.on(&planes[c], at) - channels[at][c]);
        let same = |at: usize| {
            let most = TINT + TINGED * lack[at];
            apart(at).iter().all(|of| (of - lack[at]).abs() <= most)
        };
        let fits = |at: usize| {
            at / width >= from
                && !self.closed[at]
                && !hard[at]
                && away[at] <= reach
                && (LEAST..MOST).contains(&lack[at])
                && same(at)
        };
        // Outwards from the thing, ever lighter.
        let mut places: Vec<usize> = (0..area).filter(|&at| fits(at)).collect();
        places.sort_by(|&a, &b| away[a].total_cmp(&away[b]));
        let mut grown = vec![false; area];
        for &at in &places {
            let goes_on = |from: usize| {
                let step = lack[from] - lack[at];
                grown[from] && (-RISE..STEP.max(STEEP * lack[from])).contains(&step)
            };
            let beside = self.around(at).into_iter().flatten();
            grown[at] = away[at] <= BESIDE || beside.into_iter().any(goes_on);
        }
        let mut left = grown.clone();
        let mut taken = vec![[0.0; 3]; area];
        for first in places {
            if !left[first] {
                continue;
            }
            left[first] = false;
            let mut found = vec![first];
            let (mut next, mut outline, mut faded) = (0, 0, 0);
            while let Some(&at) = found.get(next) {
                next += 1;
                for beside in self.around(at).into_iter().flatten() {
                    if left[beside] {
                        left[beside] = false;
                        found.push(beside);
                    } else if !grown[beside] && !self.closed[beside] && !hard[beside] {
                        outline += 1;
                        faded += usize::from(lack[at] <= FADED);
                    }
                }
            }
            if found.len() < CRUMB {
                continue;
            }
            let near = mean(
                found
                    .iter()
                    .filter(|&&at| away[at] <= 0.3 * reach)
                    .map(|&at| lack[at]),
            );
            let far = found.iter().filter(|&&at| away[at] > 0.8 * reach);
            let dark = far.filter(|&&at| lack[at] > 2.0 * LEAST).count();
            let endless = dark as f32 > ENDLESS * found.len() as f32;
            if (SEEN..DARK).contains(&near) && faded as f32 >= FADES * outline as f32 && !endless {
                for at in found {
                    // Towards the end of its reach there is ever less of it, and where it ends in the light.
                    let left = ((reach - away[at]) / (0.3 * reach)).clamp(0.0, 1.0);
                    let around = self.near(at, SOFT).filter(|&n| !self.closed[n] && same(n));
                    let dark = mean(around.map(|n| f32::from(u8::from(lack[n] >= LEAST))));
                    taken[at] = apart(at).map(|of| of * left * (2.0 * dark - 1.0).max(0.0));
                }
            }
        }
        taken
            .iter()
            .any(|&t| t != [0.0; 3])
            .then(|| self.beneath(taken))
    }

    /// A value for each pixel of a picture of `size`, between those that are known.
    fn enlarged(&self, values: &[[f32; 3]], size: [u32; 2]) -> Vec<[f32; 3]> {
        let side = |side: usize, of: u32| {
            (0..of).map(move |i| {
                let place = (i as f32 + 0.5) * side as f32 / of as f32 - 0.5;
                let first = place.floor().max(0.0) as usize;
                (
                    first,
                    (first + 1).min(side - 1),
                    (place - first as f32).clamp(0.0, 1.0),
                )
            })
        };
        let columns: Vec<_> = side(self.width, size[0]).collect();
        let mut out = Vec::with_capacity(size[0] as usize * size[1] as usize);
        for (upper, lower, v) in side(self.height, size[1]) {
            let (upper, lower) = (upper * self.width, lower * self.width);
            out.extend(columns.iter().map(|&(left, right, u)| {
                let along = |row: usize| mix(values[row + left], values[row + right], u);
                mix(along(upper), along(lower), v)
            }));
        }
        out
    }

    /// Goes on beneath what lies beside it, as far as the thing's soft edge may reach when it is looked at in full.
    fn beneath(&self, mut taken: Vec<[f32; 3]>) -> Vec<[f32; 3]> {
        for _ in 0..4 {
            let before = taken.clone();
            for at in (0..taken.len()).filter(|&at| self.thing[at] && before[at] == [0.0; 3]) {
                let beside = self.around(at).into_iter().flatten().map(|at| before[at]);
                let known: Vec<[f32; 3]> = beside.filter(|&t| t != [0.0; 3]).collect();
                taken[at] = [0, 1, 2].map(|c: usize| mean(known.iter().map(|t| t[c])));
            }
        }
        taken
    }
}

/// Between two colours.
fn mix(a: [f32; 3], b: [f32; 3], share: f32) -> [f32; 3] {
    [0, 1, 2].map(|c| a[c] + (b[c] - a[c]) * share)
}

/// The mean; 0 of nothing.
fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), v| (sum + v, count + 1));
    sum / count.max(1) as f32
}
