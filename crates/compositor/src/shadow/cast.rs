//! Cast shadows: what lies on the ground beside a thing, touches it, and has less light than the ground around.
//!
//! Along the whole edge of a shadow every channel loses about the same share; inside it the ground's own variation goes on. So for
//! each of several levels of light the dark regions beside the thing are taken, and of those that pass all tests the one whose edge is
//! most alike. Doors, other things, dark ground and gaps fail at one of them. What fails stays where it is: a thing that takes
//! something else along is worse than one that leaves its shadow behind.

use crate::luma::luma;
use crate::mean::box_mean;
use dragentity_core::scene::{Mask, Picture};

/// Longer side, in pixels, of what is looked at: finer, the grain of the ground is seen in place of its light.
const SIDE: u32 = 320;
/// How many levels of light are tried.
const LEVELS: usize = 20;
/// The least that is told from grain, in pixels.
const LEAST: usize = 12;
/// How far from its edge a region is compared with the ground, in pixels.
const BESIDE: i64 = 4;
/// Added to channels (0..255) before their logarithms are taken: noise in the dark is not to count for differences.
const FLOOR: f32 = 4.0;
/// The logarithm below which a channel of the ground is too dark to tell a tint.
const TELLS: f32 = 3.4;

/// A picture and a thing in it, small.
pub(super) struct Ground {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Logarithms of red, green, blue and light.
    pub(super) log: Vec<[f32; 4]>,
    /// That of the light, without its grain.
    pub(super) light: Vec<f32>,
    pub(super) thing: Vec<bool>,
    /// The thing and others: nothing there is ground.
    pub(super) closed: Vec<bool>,
    /// How many pixels are the thing's.
    pub(super) area: usize,
    /// First and last row of it.
    pub(super) rows: [usize; 2],
}

/// A channel (0..255) without a shadow that has taken so much from its logarithm.
pub(super) fn lighter(channel: f32, by: f32) -> f32 {
    ((channel + FLOOR) * by.exp() - FLOOR).clamp(0.0, 255.0)
}

/// A dark region, and what its edge and its inside say.
struct Region {
    inside: Vec<bool>,
    size: usize,
    /// How much of its edge, where that is ground, shows the same step, 0..1.
    alike: f32,
    /// That step, as the logarithm of how many times lighter the ground is.
    darker: f32,
    /// By how much more, or less, a channel is darkened than the light.
    tint: f32,
    /// What of its edge is the picture's border, and what is the thing, 0..1.
    border: f32,
    touch: f32,
    /// How much the light varies inside, and on the ground beside it.
    spread: [f32; 2],
    /// How much grain there is inside, and on the ground beside it.
    grain: [f32; 2],
    /// How much of what else is beside the thing is the same ground, 0..1: all of it where a thing lies on something and is seen
    /// from above.
    lies: f32,
    /// Where it touches the thing: 0 at the top of it, 1 at the bottom.
    low: f32,
}

impl Region {
    /// Whether hardly any of its edge is otherwise.
    fn is_sure(&self) -> bool {
        self.alike >= 0.9
    }

    /// Whether it is the shadow of a thing of `area` pixels. The bounds were found on photographs and frames of videos whose
    /// shadows were looked at, so that few other dark regions pass.
    fn is_shadow(&self, area: usize) -> bool {
        let size = self.size as f32 / area as f32;
        // Dark, and along much of the thing's lower edge: that is a shadow whatever the ground elsewhere, and though the picture ends in
        // it.
        let under = self.low >= 0.85 && self.touch >= 0.45 && self.darker >= 0.7 && self.is_sure();
        let most_border = if under { 0.25 } else { 0.2 };
        let least_alike = if self.lies < 0.3 { 0.9 } else { 0.85 };
        let least_darker = if self.lies < 0.8 { 0.3 } else { 0.2 };
        (0.01..1.0).contains(&size)
            && self.alike >= least_alike
            && (least_darker..2.6).contains(&self.darker)
            && self.tint <= 0.12 + 0.1 * self.darker
            && self.border <= most_border
            && self.touch >= 0.15
            && self.spread[0] <= 0.2 + 1.5 * self.spread[1]
            && self.grain[0] <= 2.0 * (self.grain[1] + 0.02) * self.darker.exp()
            && self.grain[0] >= 0.25 * self.grain[1]
            && (under || self.lies >= 0.88 || self.low >= 0.75 && self.lies >= 0.15)
    }
}

/// The middle one of some values; 0 of none.
pub(super) fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut values: Vec<f32> = values.collect();
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

impl Ground {
    /// Of a picture with a thing and others in it, whose masks are over the whole picture and of any size; `None` where there is no
    /// thing.
    pub(super) fn new(picture: &Picture, thing: &Mask, others: &[Mask]) -> Option<Self> {
        if picture.is_empty() {
            return None;
        }
        let long = picture.width.max(picture.height);
        let scaled = |side: u32| (side * SIDE.min(long) / long).max(1);
        let (w, h) = (scaled(picture.width), scaled(picture.height));
        let (width, height) = (w as usize, h as usize);
        let covered = |mask: &Mask| -> Vec<bool> {
            mask.resized(w, h).alpha.iter().map(|&a| a > 24).collect()
        };
        let mut closed = vec![false; width * height];
        for other in others {
            for (closed, other) in closed.iter_mut().zip(covered(other)) {
                *closed |= other;
            }
        }
        let mut ground = Self {
            width,
            height,
            log: Vec::new(),
            light: Vec::new(),
            thing: covered(thing),
            closed,
            area: 0,
            rows: [0; 2],
        };
        // Its soft edge is neither thing nor ground.
        let own = ground.thing.clone();
        for at in (0..own.len()).filter(|&at| own[at]) {
            for beside in ground.around(at).into_iter().flatten() {
                ground.thing[beside] = true;
            }
        }
        for (closed, &thing) in ground.closed.iter_mut().zip(&ground.thing) {
            *closed |= thing;
        }
        ground.area = ground.thing.iter().filter(|&&t| t).count();
        ground.rows = [
            ground.thing.iter().position(|&t| t)? / width,
            ground.thing.iter().rposition(|&t| t)? / width,
        ];
        let pixels = picture.resized(w, h);
        ground.log = pixels
            .rgb
            .chunks_exact(3)
            .map(|p| {
                let [r, g, b] = [p[0], p[1], p[2]].map(f32::from);
                [r, g, b, luma(p)].map(|v| (v + FLOOR).ln())
            })
            .collect();
        let weighed: Vec<[f32; 2]> = ground
            .log
            .iter()
            .zip(&ground.closed)
            .map(|(log, closed)| if *closed { [0.0; 2] } else { [log[3], 1.0] })
            .collect();
        ground.light = box_mean(&weighed, width, height, 1)
            .into_iter()
            .map(|[l, n]| if n > 0.0 { l / n } else { 0.0 })
            .collect();
        Some(ground)
    }

    /// What of the picture is the thing's shadow, of the size at which it was looked at; `None` where nothing surely is.
    pub(super) fn shadow(&self) -> Option<Mask> {
        let rim = self.rim();
        let mut regions = Vec::new();
        for level in self.levels() {
            let mut seen = self.closed.clone();
            for &first in &rim {
                if seen[first] || self.light[first] >= level {
                    continue;
                }
                let found = self.connected(first, level, &mut seen);
                if (LEAST..=self.area).contains(&found.len()) {
                    regions.push(self.region(&found, &rim));
                }
            }
        }
        regions.retain(|region| region.is_shadow(self.area));
        // The largest of the sure ones first: a shadow's darkest part is one, too. There may be one at each foot.
        let rank = |region: &Region| (region.is_sure(), region.size);
        regions.sort_by_key(|region| std::cmp::Reverse(rank(region)));
        let mut all = vec![false; self.thing.len()];
        for region in &regions {
            let known = all.iter().zip(&region.inside).any(|(a, b)| *a && *b);
            if !known {
                for (all, inside) in all.iter_mut().zip(&region.inside) {
                    *all |= inside;
                }
            }
        }
        (!regions.is_empty()).then(|| self.mask(&all))
    }

    /// The dark region around a place, in fractions of width and height, whose edge is most alike; of the size at which it was looked
    /// at. `None` on the thing itself and where nothing is dark.
    pub(super) fn at(&self, [x, y]: [f32; 2]) -> Option<Mask> {
        if !(0.0..1.0).contains(&x) || !(0.0..1.0).contains(&y) {
            return None;
        }
        let at = (y * self.height as f32) as usize * self.width + (x * self.width as f32) as usize;
        if self.closed[at] {
            return None;
        }
        let rim = self.rim();
        let largest = self.thing.len() / 2;
        let regions = self.levels().into_iter().filter_map(|level| {
            let dark = self.light[at] < level;
            let found = dark.then(|| self.connected(at, level, &mut self.closed.clone()))?;
            let fits = (LEAST..=largest).contains(&found.len());
            fits.then(|| self.region(&found, &rim))
        });
        let best = regions
            .filter(|region| region.darker > 0.1)
            .max_by_key(|region| ((region.alike * 10.0).round() as usize, region.size))?;
        Some(self.mask(&best.inside))
    }

    /// A region with the light spots in it: what it lies around is as dark as it is.
    fn mask(&self, inside: &[bool]) -> Mask {
        let mut alpha: Vec<u8> = inside.iter().map(|&i| u8::from(i) * 255).collect();
        let largest = alpha.iter().filter(|&&a| a > 0).count() / 50;
        let mut seen: Vec<bool> = inside.to_vec();
        for first in 0..seen.len() {
            if seen[first] {
                continue;
            }
            let mut spot = vec![first];
            seen[first] = true;
            let (mut next, mut open) = (0, false);
            while let Some(&at) = spot.get(next) {
                next += 1;
                open |= self.thing[at];
                for beside in self.around(at) {
                    match beside {
                        None => open = true,
                        Some(beside) if !seen[beside] => {
                            seen[beside] = true;
                            spot.push(beside);
                        }
                        Some(_) => {}
                    }
                }
            }
            if !open && spot.len() <= largest {
                for at in spot {
                    alpha[at] = 255;
                }
            }
        }
        Mask {
            width: self.width as u32,
            height: self.height as u32,
            alpha,
        }
    }

    /// The four pixels around one, as far as there are.
    pub(super) fn around(&self, at: usize) -> [Option<usize>; 4] {
        let (x, y) = (at % self.width, at / self.width);
        [
            (x > 0).then(|| at - 1),
            (x + 1 < self.width).then(|| at + 1),
            (y > 0).then(|| at - self.width),
            (y + 1 < self.height).then(|| at + self.width),
        ]
    }

    /// The pixels within `reach` of one, each way.
    pub(super) fn near(&self, at: usize, reach: i64) -> impl Iterator<Item = usize> + use<'_> {
        let (width, height) = (self.width as i64, self.height as i64);
        let (x, y) = (at as i64 % width, at as i64 / width);
        let columns = (x - reach).max(0)..(x + reach + 1).min(width);
        let rows = (y - reach).max(0)..(y + reach + 1).min(height);
        rows.flat_map(move |y| columns.clone().map(move |x| (y * width + x) as usize))
    }

    /// The ground beside the thing.
    fn rim(&self) -> Vec<usize> {
        let beside = |at: usize| self.around(at).into_iter().flatten().any(|n| self.thing[n]);
        (0..self.thing.len())
            .filter(|&at| !self.closed[at] && beside(at))
            .collect()
    }

    /// Levels of light between the darkest and the lightest ground.
    fn levels(&self) -> Vec<f32> {
        let open = (0..self.light.len()).filter(|&at| !self.closed[at]);
        let mut lights: Vec<f32> = open.map(|at| self.light[at]).collect();
        if lights.len() < 64 {
            return Vec::new();
        }
        lights.sort_by(f32::total_cmp);
        let (low, high) = (lights[lights.len() / 100], lights[lights.len() * 97 / 100]);
        (1..LEVELS)
            .map(|i| low + (high - low) * i as f32 / LEVELS as f32)
            .collect()
    }

    /// What below a level of light hangs together with a pixel; where `seen` says, nothing does.
    fn connected(&self, first: usize, level: f32, seen: &mut [bool]) -> Vec<usize> {
        let mut found = vec![first];
        seen[first] = true;
        let mut next = 0;
        while let Some(&at) = found.get(next) {
            next += 1;
            for beside in self.around(at).into_iter().flatten() {
                if !seen[beside] && self.light[beside] < level {
                    seen[beside] = true;
                    found.push(beside);
                }
            }
        }
        found
    }

    /// Looks at a region.
    fn region(&self, found: &[usize], rim: &[usize]) -> Region {
        let mut inside = vec![false; self.thing.len()];
        for &at in found {
            inside[at] = true;
        }
        let (mut touch, mut border, mut touched_rows) = (0, 0, 0);
        let (mut edge, mut core) = (Vec::new(), Vec::new());
        for &at in found {
            let mut at_edge = false;
            for beside in self.around(at) {
                match beside {
                    None => border += 1,
                    Some(beside) if self.thing[beside] => {
                        touch += 1;
                        touched_rows += beside / self.width;
                    }
                    Some(beside) => at_edge |= !inside[beside] && !self.closed[beside],
                }
            }
            if at_edge {
                edge.push(at);
            } else {
                core.push(at);
            }
        }
        // Half-shadow, which is neither.
        let mut half = vec![false; inside.len()];
        for &at in &edge {
            for beside in self.near(at, 1) {
                half[beside] |= !inside[beside];
            }
        }
        let ground = |at: usize| !inside[at] && !half[at] && !self.closed[at];
        let (mut steps, mut outside) = (Vec::new(), Vec::new());
        for &at in &edge {
            let own = self.mean(self.near(at, BESIDE).filter(|&n| inside[n]), 3);
            let other = self.mean(self.near(at, BESIDE).filter(|&n| ground(n)), 5);
            if let (Some(own), Some(other)) = (own, other) {
                steps.push([0, 1, 2, 3].map(|c| other[c] - own[c]));
                outside.push(other);
            }
        }
        let of = |values: &[[f32; 4]]| [0, 1, 2, 3].map(|c| median(values.iter().map(|v| v[c])));
        let (usual, lit) = (of(&steps), of(&outside));
        let tells: Vec<usize> = (0..3).filter(|&c| lit[c] > TELLS).collect();
        let alike = |step: &&[f32; 4]| {
            let tint = |c: usize| (step[c] - step[3]) - (usual[c] - usual[3]);
            (step[3] - usual[3]).abs() < (0.35 * usual[3]).max(0.12)
                && tells.iter().all(|&c| tint(c).abs() < 0.25)
        };
        let mut ring: Vec<usize> = edge
            .iter()
            .flat_map(|&at| self.near(at, BESIDE + 2))
            .filter(|&at| ground(at))
            .collect();
        ring.sort_unstable();
        ring.dedup();
        let spread = |places: &[usize]| {
            let middle = median(places.iter().map(|&at| self.light[at]));
            median(places.iter().map(|&at| (self.light[at] - middle).abs()))
        };
        let grain = |places: &[usize]| {
            median(
                places
                    .iter()
                    .map(|&at| (self.light[at] - self.log[at][3]).abs()),
            )
        };
        let same = |at: usize| {
            let tint = |c: usize| (self.log[at][c] - self.log[at][3]) - (lit[c] - lit[3]);
            (self.light[at] - lit[3]).abs() < 0.35 && tells.iter().all(|&c| tint(c).abs() < 0.2)
        };
        let elsewhere: Vec<usize> = rim.iter().copied().filter(|&at| !inside[at]).collect();
        let share = |part: usize, of: usize| part as f32 / of.max(1) as f32;
        let around = edge.len() + touch + border;
        let [first, last] = self.rows.map(|row| row as f32);
        Region {
            size: found.len(),
            alike: share(steps.iter().filter(alike).count(), edge.len()),
            darker: usual[3],
            tint: tells
                .iter()
                .map(|&c| (usual[c] - usual[3]).abs())
                .fold(0.0, f32::max),
            border: share(border, around),
            touch: share(touch, around),
            spread: [spread(&core), spread(&ring)],
            grain: [grain(&core), grain(&ring)],
            lies: share(
                elsewhere.iter().filter(|&&at| same(at)).count(),
                elsewhere.len(),
            ),
            low: (share(touched_rows, touch) - first) / (last - first).max(1.0),
            inside,
        }
    }

    /// The mean over at least `least` pixels.
    fn mean(&self, places: impl Iterator<Item = usize>, least: usize) -> Option<[f32; 4]> {
        let (mut sum, mut count) = ([0.0; 4], 0);
        for at in places {
            for (sum, value) in sum.iter_mut().zip(self.log[at]) {
                *sum += value;
            }
            count += 1;
        }
        (count >= least).then(|| sum.map(|sum| sum / count as f32))
    }
}
