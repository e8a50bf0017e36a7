//! The clean plate: what is behind the things that move away.
//!
//! What was hidden is made up of patches of the rest of the picture, coarse to fine: at a size at which the hole is a few pixels
//! wide its surroundings are continued inwards, and at each larger one every patch that shows something unknown looks for the
//! known patch most like it, and what these show is averaged, in turns (after Wexler, Shechtman and Irani 2007; Barnes and others
//! 2009; Newson and others 2014). At the end pixels are copied, not averaged, and the seams are closed (Perez and others 2003).
//!
//! What goes through a large hole no patch tells: a guide does, a small picture of what may be there. Of patches that fit, those are
//! taken that look like it from afar; where hardly any do, it is wrong, and left aside.

mod blend;
mod descent;
mod distance;
mod guide;
mod labels;
mod level;
mod lines;
mod parallel;
mod patch;
mod search;
#[cfg(test)]
mod tests;
mod vote;

use blend::Blend;
use descent::{Descent, Step};
use distance::distance_to;
use dragentity_core::scene::mask::PixelBox;
use dragentity_core::scene::{Mask, Picture};
use dragentity_core::{Cancel, Error, Result};
use guide::Guidance;
pub use guide::Guide;
use level::Level;
pub use lines::{Guess, continued};
use patch::{SCALE, SIDE};
use std::sync::Arc;

/// How far it may be from the middle of the hole to its rim at the coarsest size, in pixels. Half of it gives more sweeping
/// guesses, twice as much ones that stay near the rim and lose what goes through.
const NARROW: usize = 6;
/// How far around a pixel its variation is averaged at most: further, it is another thing's.
const WIDEST: usize = 4;
/// The fewest patches that are enough to choose from.
const FEWEST_SOURCES: usize = 64;
/// How far beside the hole what must not be copied is taken to belong to the hole, in pixels.
const BESIDE: usize = 12;
/// At which size it is decided whether a guide is right: at a quarter of the picture's, where it costs little to try without.
const DECIDED: usize = 2;
/// How much worse patches may fit that follow a guide.
const WORSE: f64 = 1.1;
/// How much around a hole a guide should show, in the hole's longer sides, and the least of it in pixels.
const AROUND: f32 = 0.75;
const LEAST_AROUND: u32 = 32;

/// A picture being filled, step by step, so that a page can draw and give up in between.
pub struct Filling {
    picture: Picture,
    unknown: Vec<bool>,
    hole: Vec<bool>,
    /// Known pixels whose colours the rim takes up.
    matched: Vec<bool>,
    /// From the picture's own size down. No levels when nothing can be copied.
    descent: Descent,
    /// The same without what a guide says, down to where it is decided which is better.
    rival: Option<Descent>,
    done: u32,
    total: u32,
    result: Option<Vec<u8>>,
}

impl Filling {
    /// Prepares to fill what `hole` marks (any alpha above 0) from the rest of `picture`, or from what `source` marks of it.
    ///
    /// Masks have the picture's size. What `source` leaves out is not copied, and where it lies beside the hole the plate is
    /// made as if it were hidden, too, so that a thing in front does not bleed into what is behind it.
    ///
    /// # Errors
    /// [`Error::Picture`] for an empty picture, [`Error::Job`] when a mask has another size than the picture, the hole covers
    /// everything, or nothing may be taken.
    pub fn new(picture: &Picture, hole: &Mask, source: Option<&Mask>) -> Result<Self> {
        if picture.is_empty() {
            return Err(Error::Picture {
                name: "picture".into(),
                reason: "has no pixels; there is nothing to fill".into(),
            });
        }
        let (width, height) = (picture.width as usize, picture.height as usize);
        let area = width * height;
        for (mask, name) in [(Some(hole), "hole"), (source, "source")] {
            let Some(mask) = mask else { continue };
            if (mask.width, mask.height) != (picture.width, picture.height)
                || mask.alpha.len() != area
            {
                return Err(Error::Job(format!(
                    "the mask of the {name} has {} x {} pixels and the picture {width} x {height}; a mask has the size of its picture",
                    mask.width, mask.height
                )));
            }
        }
        let hole: Vec<bool> = hole.alpha.iter().map(|&alpha| alpha > 0).collect();
        if hole.iter().all(|&h| h) {
            return Err(Error::Job(
                "the hole covers the whole picture; leave something of it to fill from".into(),
            ));
        }
        let mut allowed: Vec<bool> = match source {
            Some(source) => source.alpha.iter().map(|&alpha| alpha > 0).collect(),
            None => vec![true; area],
        };
        for (allowed, &hole) in allowed.iter_mut().zip(&hole) {
            *allowed &= !hole;
        }
        if !allowed.iter().any(|&a| a) {
            return Err(Error::Job(
                "nothing outside of the hole may be used to fill it; mark more of the picture as source".into(),
            ));
        }
        let far = distance_to(width, height, &hole);
        // What must not be copied and lies beside the hole is in front, and hides as well. If nothing else lies beside it, that
        // is what has to be continued.
        let open = (0..area).any(|at| far[at] == 1 && allowed[at]);
        let hides = |at: usize| open && far[at] as usize <= BESIDE && !allowed[at];
        let unknown: Vec<bool> = (0..area).map(|at| hole[at] || hides(at)).collect();
        let matched = (0..area)
            .map(|at| if open { allowed[at] } else { !hole[at] })
            .collect();
        let descent = Descent::new(levels(picture, &unknown, &allowed), 0);
        let mut made = Self {
            picture: picture.clone(),
            unknown,
            hole,
            matched,
            done: 0,
            total: descent.total(),
            descent,
            rival: None,
            result: None,
        };
        made.total += 1;
        if !made.hole.iter().any(|&h| h) {
            made.result = Some(picture.rgb.to_vec());
            made.done = made.total;
        }
        Ok(made)
    }

    /// Fills it with what looks from afar as `guide` does. To be said before the first [`Self::advance`].
    ///
    /// # Errors
    /// [`Error::Job`] for a guide that shows nothing of the picture.
    pub fn guided(mut self, guide: &Guide) -> Result<Self> {
        guide.check(self.picture.width, self.picture.height)?;
        if self.rival.is_none() {
            let levels = &self.descent.levels;
            let decided = DECIDED.min(levels.len().saturating_sub(1));
            let rival = Descent::new(levels[decided..].to_vec(), decided);
            self.total += rival.total();
            self.rival = Some(rival);
        }
        let whole = guide::whole(&self.picture, &self.unknown, guide);
        for level in &mut self.descent.levels {
            level.guidance = Some(Guidance::new(&whole, guide, level.width, level.height));
        }
        Ok(self)
    }

    /// Fills it with what looks from afar as if lines and borders that meet the hole went on through it. To be said before the
    /// first [`Self::advance`].
    pub fn guessed(self) -> Self {
        let Some(guess) = self.guess(lines::SIDE) else {
            return self;
        };
        self.guided(&Guide::from(&guess))
            .expect("it shows what is around the hole")
    }

    /// The guess that [`Self::guessed`] goes by, with `side` pixels along its longer side, for whoever has a better one. `None` if
    /// nothing is hidden, or nothing is known.
    pub fn guess(&self, side: usize) -> Option<Guess> {
        lines::guess(&self.picture, &self.unknown, self.around()?, side)
    }

    /// What a guide should show: left, top, width and height of what is made up and some of what is around it, in pixels. `None` if
    /// nothing is hidden.
    fn around(&self) -> Option<[u32; 4]> {
        let PixelBox { x0, y0, x1, y1 } = self.hidden().bounding_box()?;
        let around = ((x1 - x0).max(y1 - y0) as f32 * AROUND) as u32;
        let around = around.max(LEAST_AROUND);
        let [left, top] = [x0, y0].map(|side| side.saturating_sub(around));
        let (right, bottom) = (
            (x1 + around).min(self.picture.width),
            (y1 + around).min(self.picture.height),
        );
        Some([left, top, right - left, bottom - top])
    }

    /// What is made up: the hole, and what hides something beside it.
    pub fn hidden(&self) -> Mask {
        let alpha = self.unknown.iter().map(|&u| u8::from(u) * 255);
        Mask {
            width: self.picture.width,
            height: self.picture.height,
            alpha: alpha.collect(),
        }
    }

    /// How much is done, and how much there is to do in all.
    pub fn progress(&self) -> (u32, u32) {
        (self.done, self.total)
    }

    /// Does a part of the work, some tenths of a second at most; whether there is more to do.
    pub fn advance(&mut self) -> bool {
        if self.result.is_some() {
            return false;
        }
        if self.descent.levels.is_empty() {
            self.end(None);
            return false;
        }
        if self.descent.is_filled() {
            if self.decide() {
                return true;
            }
            if self.descent.at == 0 {
                let copied = labels::choose(self.descent.level(), &self.descent.field);
                self.end(Some(&copied));
                return false;
            }
        }
        if let Step::Round(work) = self.descent.step() {
            self.done += work;
        }
        true
    }

    /// Where a guide may be left aside, a step of doing without it, and at last of the two the better one; whether anything was
    /// done.
    fn decide(&mut self) -> bool {
        let Some(mut rival) = self.rival.take() else {
            return false;
        };
        if self.descent.number() > rival.first() {
            self.rival = Some(rival);
            return false;
        }
        if !(rival.at == 0 && rival.is_filled()) {
            if let Step::Round(work) = rival.step() {
                self.done += work;
            }
            self.rival = Some(rival);
        } else if self.descent.misfit() > WORSE * rival.misfit() {
            self.descent.take(rival);
        }
        true
    }

    /// The picture as it is now: smooth at first, then ever finer.
    pub fn preview(&self) -> Picture {
        let mut rgb = self.picture.rgb.to_vec();
        if let Some(result) = &self.result {
            rgb.copy_from_slice(result);
        } else if !self.descent.field.is_empty() {
            let (level, size) = (self.descent.level(), self.descent.number());
            let width = self.picture.width as usize;
            for (at, pixel) in rgb
                .chunks_exact_mut(3)
                .enumerate()
                .filter(|(at, _)| self.hole[*at])
            {
                let (x, y) = ((at % width) >> size, (at / width) >> size);
                let texel = level.texel(y * level.width + x);
                for c in 0..3 {
                    pixel[c] = (f32::from(texel[c]) / SCALE).round().clamp(0.0, 255.0) as u8;
                }
            }
        }
        Picture {
            width: self.picture.width,
            height: self.picture.height,
            rgb: Arc::new(rgb),
        }
    }

    /// The filled picture. Before [`Self::advance`] has said that there is no more to do, as far as it is.
    pub fn finish(self) -> Picture {
        self.preview()
    }

    fn end(&mut self, copied: Option<&[u32]>) {
        let (width, height) = (self.picture.width as usize, self.picture.height as usize);
        let blend = Blend {
            width,
            height,
            rgb: &self.picture.rgb,
            unknown: &self.unknown,
            known: &self.matched,
            copied,
        };
        let mut rgb = self.picture.rgb.to_vec();
        let places = (0..width * height).filter(|&at| self.unknown[at]);
        for (at, colour) in places.zip(blend.solve()) {
            if self.hole[at] {
                rgb[at * 3..at * 3 + 3].copy_from_slice(&colour);
            }
        }
        self.result = Some(rgb);
        self.done = self.total;
        self.descent = Descent::new(Vec::new(), 0);
        self.rival = None;
    }
}

/// Fills what `hole` marks of `picture`, as [`Filling::guessed`] does, and says meanwhile how much of how much is done.
///
/// # Errors
/// Those of [`Filling::new`], and [`Error::Cancelled`].
pub fn fill(
    picture: &Picture,
    hole: &Mask,
    source: Option<&Mask>,
    cancel: &Cancel,
    progress: &mut dyn FnMut(u32, u32),
) -> Result<Picture> {
    let mut filling = Filling::new(picture, hole, source)?.guessed();
    loop {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let more = filling.advance();
        let (done, total) = filling.progress();
        progress(done, total);
        if !more {
            return Ok(filling.finish());
        }
    }
}

/// The picture's sizes, down to the one at which the hole is about as wide as a patch, as far as there are patches to copy.
fn levels(picture: &Picture, unknown: &[bool], allowed: &[bool]) -> Vec<Level> {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let known: Vec<bool> = unknown.iter().map(|u| !u).collect();
    let deepest = distance_to(width, height, &known)
        .into_iter()
        .max()
        .unwrap_or(0) as usize;
    let depth = (0..).find(|depth| deepest >> depth <= NARROW).unwrap_or(0);
    if width < SIDE || height < SIDE || deepest == 0 {
        return Vec::new();
    }
    let window = ((1 << depth) / 2).clamp(1, WIDEST);
    let far = level::far(deepest);
    let finest = Level::finest(
        width,
        height,
        &picture.rgb,
        unknown.to_vec(),
        allowed.to_vec(),
        window,
        far,
    );
    if finest.source_list.is_empty() {
        return Vec::new();
    }
    let mut levels = vec![finest];
    while levels.len() <= depth {
        let last = &levels[levels.len() - 1];
        if last.width.min(last.height) < 2 * SIDE {
            break;
        }
        let next = last.halved();
        if next.source_list.len() < FEWEST_SOURCES || next.target_count == 0 {
            break;
        }
        levels.push(next);
    }
    levels
}
