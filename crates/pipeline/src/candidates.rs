//! What one click, or a box, may mean: SAM's masks for it, put into an order.

use super::transfer::read;
use burn::tensor::{Tensor, backend::Backend};
use dragentity_core::error::{Error, Result};
use dragentity_networks::sam::{Framing, Prediction};

/// Masks that overlap by this much (intersection over union) are one and the same to a person.
const SAME: f32 = 0.9;
/// By how much of its width and height the box around the largest mask is larger than it on each side, when more is wanted.
const WIDER: f32 = 0.5;

/// Masks for one prompt, the likeliest first, each another one.
pub struct Candidates<B: Backend> {
    /// Logits, `[1, masks, height, width]`.
    masks: Tensor<B, 4>,
    /// Where each of them is, where the picture is.
    inside: Vec<Vec<bool>>,
    /// Width and height of these.
    size: [usize; 2],
    /// How sure each is ([`sureness`]).
    sure: Vec<f32>,
    /// Which of them, in this order; at least one.
    order: Vec<usize>,
    /// Whether the network was asked for more than it gave at first.
    widened: bool,
}

impl<B: Backend> Candidates<B> {
    /// Logits of one of them, `[1, 1, height, width]`; after the last it begins again.
    pub fn get(&self, candidate: usize) -> Tensor<B, 4> {
        self.masks.clone().narrow(1, self.nth(candidate), 1)
    }

    /// How sure [`get`](Self::get)'s is.
    pub fn sureness(&self, candidate: usize) -> f32 {
        self.sure[self.nth(candidate)]
    }

    fn nth(&self, candidate: usize) -> usize {
        self.order[candidate % self.order.len()]
    }

    /// The box to ask for where a candidate is wanted beyond those that are here, in fractions of the picture: around the largest
    /// of them, and as much larger. `None` where there are enough, where that was asked already, or where the largest is most of
    /// the picture.
    pub fn wider(&self, candidate: usize) -> Option<[f32; 4]> {
        if candidate < self.order.len() || self.widened {
            return None;
        }
        let area = |mask: usize| covered(&self.inside[mask], self.size)[0];
        let thing = |mask: &usize| (f32::MIN_POSITIVE..=0.5).contains(&area(*mask));
        let things = self.order.iter().copied().filter(thing);
        let largest = things.max_by(|&a, &b| area(a).total_cmp(&area(b)))?;
        let [left, top, right, bottom] = bounds(&self.inside[largest], self.size);
        let (across, down) = (WIDER * (right - left), WIDER * (bottom - top));
        Some([left - across, top - down, right + across, bottom + down])
    }

    /// Adds what a wider box has brought, the surest first: what is another one than these, has the click, and is no backdrop.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    pub async fn widen(
        &mut self,
        prediction: Prediction<B>,
        framing: Framing,
        click: [f32; 2],
    ) -> Result<()> {
        self.widened = true;
        let within = Within::read(&prediction, framing).await?;
        let (sure, inside) = (within.sureness(), within.inside());
        let mut found: Vec<usize> = (0..sure.len()).collect();
        found.sort_by(|&a, &b| sure[b].total_cmp(&sure[a]));
        for mask in found {
            let known = |&other: &usize| same(&inside[mask], &self.inside[other]);
            let backdrop = is_backdrop(covered(&inside[mask], self.size));
            if backdrop || !has(&inside[mask], self.size, click) || self.order.iter().any(known) {
                continue;
            }
            self.order.push(self.sure.len());
            self.sure.push(sure[mask]);
            self.inside.push(inside[mask].clone());
            let logits = prediction.masks.clone().narrow(1, mask, 1);
            self.masks = Tensor::cat(vec![self.masks.clone(), logits], 1);
        }
        Ok(())
    }
}

/// A prediction where the picture is: what lies beside it says nothing.
struct Within {
    scores: Vec<f32>,
    /// Logits of each mask.
    masks: Vec<Vec<f32>>,
    /// Width and height of each.
    size: [usize; 2],
}

impl Within {
    async fn read<B: Backend>(prediction: &Prediction<B>, framing: Framing) -> Result<Self> {
        let scores = read(prediction.scores.clone()).await?;
        let within = framing.within(prediction.masks.clone());
        let [_, _, height, width] = within.dims();
        let logits = read(within).await?;
        if scores.is_empty() || logits.is_empty() {
            return Err(Error::Device("no mask came back; try again".into()));
        }
        let masks = logits.chunks_exact(logits.len() / scores.len());
        Ok(Self {
            masks: masks.map(<[f32]>::to_vec).collect(),
            scores,
            size: [width, height],
        })
    }

    fn sureness(&self) -> Vec<f32> {
        let each = self.scores.iter().zip(&self.masks);
        each.map(|(score, logits)| score + stability(logits))
            .collect()
    }

    fn inside(&self) -> Vec<Vec<bool>> {
        let each = self.masks.iter();
        each.map(|logits| logits.iter().map(|logit| *logit > 0.0).collect())
            .collect()
    }
}

/// How much of a mask stays when its threshold is moved by one logit either way: SAM's stability score. A mask that bled into
/// its surroundings did so hesitantly.
fn stability(logits: &[f32]) -> f32 {
    let above = |threshold: f32| logits.iter().filter(|logit| **logit > threshold).count();
    above(1.0) as f32 / above(-1.0).max(1) as f32
}

/// What a mask must keep of another one that it stands for, as a share of that.
const KEPT: f32 = 0.85;
/// By how much it may be larger, times; and where it is more than half of the picture.
const GROWN: f32 = 2.0;
const GROWN_LARGE: f32 = 1.1;
/// How much more of the picture's border it may have, as a share of the border.
const MORE_BORDER: f32 = 0.1;

/// Logits of the mask that is surest by score and stability together, `[1, 1, height, width]`, of those that are surer than `than`
/// and still show what `piece` shows (as many cells as the picture has in the network's square) at the place of a click.
///
/// # Errors
/// [`Error::Device`] when the device fails.
pub async fn surer<B: Backend>(
    prediction: Prediction<B>,
    framing: Framing,
    than: f32,
    piece: &[bool],
    click: [f32; 2],
) -> Result<Option<Tensor<B, 4>>> {
    let within = Within::read(&prediction, framing).await?;
    let (sure, inside, size) = (within.sureness(), within.inside(), within.size);
    let fits = |&mask: &usize| {
        sure[mask] > than && has(&inside[mask], size, click) && stands(&inside[mask], piece, size)
    };
    let best = (0..sure.len())
        .filter(fits)
        .max_by(|&a, &b| sure[a].total_cmp(&sure[b]));
    Ok(best.map(|best| prediction.masks.narrow(1, best, 1)))
}

/// Whether a mask shows the thing that another one shows, and not also what is around it.
fn stands(mask: &[bool], other: &[bool], size: [usize; 2]) -> bool {
    let count = |of: &dyn Fn(usize) -> bool| (0..mask.len()).filter(|&at| of(at)).count() as f32;
    let kept = count(&|at| mask[at] && other.get(at) == Some(&true));
    let ([area, border], [was, border_was]) = (covered(mask, size), covered(other, size));
    kept >= KEPT * count(&|at| other.get(at) == Some(&true))
        && area <= GROWN * was
        && (area <= 0.5 || area <= GROWN_LARGE * was)
        && border <= border_was + MORE_BORDER
}

/// Whether a mask of `size` pixels has a place, in fractions of the picture; those beyond it are on its edge.
fn has(mask: &[bool], [width, height]: [usize; 2], place: [f32; 2]) -> bool {
    let at = |v: f32, side: usize| ((v * side as f32) as usize).min(side.saturating_sub(1));
    mask.get(at(place[1], height) * width + at(place[0], width)) == Some(&true)
}

/// Puts all masks of a prediction into an order; `bounds` is the box that was asked for, in fractions of the picture.
///
/// # Errors
/// [`Error::Device`] when the device fails.
pub async fn rank<B: Backend>(
    prediction: Prediction<B>,
    framing: Framing,
    bounds: Option<[f32; 4]>,
) -> Result<Candidates<B>> {
    let within = Within::read(&prediction, framing).await?;
    let (sure, inside) = (within.sureness(), within.inside());
    let Within {
        mut scores, size, ..
    } = within;
    if let Some(bounds) = bounds {
        // Who draws a box means what fills it.
        for (score, mask) in scores.iter_mut().zip(&inside) {
            *score += fit(mask, size, bounds);
        }
    }
    Ok(Candidates {
        order: order(&inside, &scores, size),
        inside,
        size,
        sure,
        masks: prediction.masks,
        widened: false,
    })
}

/// Of masks whose scores are this near to the best the largest is taken: who clicks a thing rather means the whole of it
/// than a part.
const NEAR: f32 = 0.03;
/// What people drag covers at least this share of a picture, mostly: a smaller mask is a button, an eye, a patch of a shirt.
const SMALL: f32 = 0.04;
/// How much worse a mask is for each halving of its area below [`SMALL`], and at most: a small thing in front of nothing else
/// than its background has no other mask that is nearly as good.
const HALVED: f32 = 0.1;
const HALVED_AT_MOST: f32 = 0.3;
/// How much worse what covers more than half of the picture is; and if it has more than half of the picture's border, too, it is
/// ground, wall or sky more often than what was meant.
const LARGE: f32 = 0.02;
const BACKDROP: f32 = 0.1;

/// How much of the picture a mask covers, and how much of its border; 0..1 both.
fn covered(mask: &[bool], [width, height]: [usize; 2]) -> [f32; 2] {
    let share = |inside: usize, all: usize| inside as f32 / all.max(1) as f32;
    let rim = |at: &usize| {
        let (x, y) = (at % width, at / width);
        x == 0 || y == 0 || x + 1 == width || y + 1 == height
    };
    let places = || (0..mask.len()).filter(rim);
    [
        share(mask.iter().filter(|inside| **inside).count(), mask.len()),
        share(places().filter(|&at| mask[at]).count(), places().count()),
    ]
}

/// Whether a mask that covers so much of the picture and its border is ground, wall or sky more often than what was meant.
fn is_backdrop([area, border]: [f32; 2]) -> bool {
    area > 0.5 && border > 0.5
}

/// How likely a person means a mask, by its score and by how large people's things are.
fn likely(score: f32, seen: [f32; 2]) -> f32 {
    let halvings = (SMALL / seen[0].max(1e-6)).log2().max(0.0);
    let small = (HALVED * halvings).min(HALVED_AT_MOST);
    let large = if seen[0] > 0.5 { LARGE } else { 0.0 };
    let backdrop = if is_backdrop(seen) { BACKDROP } else { 0.0 };
    score - small - large - backdrop
}

/// In which order to offer masks of `size` pixels. The numbers were chosen on 65 clicks into photographs, whose masks were judged by
/// eye: 61 of the first ones are what was meant, where the best score, and the largest near it, has 51. On 39 frames of DAVIS,
/// on which none of them was chosen, the first mask's mean IoU is 0.704, and 0.643 without what is said of areas here; the best of the
/// four has 0.719.
fn order(masks: &[Vec<bool>], scores: &[f32], size: [usize; 2]) -> Vec<usize> {
    let seen: Vec<[f32; 2]> = masks.iter().map(|mask| covered(mask, size)).collect();
    let area = |mask: usize| seen[mask][0];
    let score = |mask: usize| likely(scores[mask], seen[mask]);
    let mut rest: Vec<usize> = (0..scores.len().min(masks.len())).collect();
    rest.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
    let best = rest.first().copied().unwrap_or_default();
    let near = rest
        .iter()
        .copied()
        .filter(|&mask| score(mask) >= score(best) - NEAR && (mask == best || area(mask) <= 0.5));
    if let Some(largest) = near.max_by(|&a, &b| area(a).total_cmp(&area(b))) {
        // Where several show the same, the best of them.
        let mut alike = rest.iter().copied();
        let first = alike.find(|&mask| same(&masks[mask], &masks[largest]));
        let first = first.unwrap_or(largest);
        rest.retain(|&mask| mask != first);
        rest.insert(0, first);
    }
    let mut order: Vec<usize> = Vec::new();
    for mask in rest {
        if !order.iter().any(|&other| same(&masks[mask], &masks[other])) {
            order.push(mask);
        }
    }
    order
}

/// The box around a mask of `size` pixels: left, top, right, bottom, in fractions of the picture; upside down around nothing.
fn bounds(mask: &[bool], [width, height]: [usize; 2]) -> [f32; 4] {
    let (mut low, mut high) = ([width, height], [0, 0]);
    for at in (0..mask.len()).filter(|&at| mask[at]) {
        let place = [at % width, at / width];
        for axis in 0..2 {
            low[axis] = low[axis].min(place[axis]);
            high[axis] = high[axis].max(place[axis] + 1);
        }
    }
    let [width, height] = [width, height].map(|side| side as f32);
    [
        low[0] as f32 / width,
        low[1] as f32 / height,
        high[0] as f32 / width,
        high[1] as f32 / height,
    ]
}

/// How well the box around a mask of `size` pixels agrees with another one: intersection over union.
fn fit(mask: &[bool], size: [usize; 2], asked: [f32; 4]) -> f32 {
    let own = bounds(mask, size);
    let area =
        |[left, top, right, bottom]: [f32; 4]| (right - left).max(0.0) * (bottom - top).max(0.0);
    let both = area([
        own[0].max(asked[0]),
        own[1].max(asked[1]),
        own[2].min(asked[2]),
        own[3].min(asked[3]),
    ]);
    both / (area(own) + area(asked) - both).max(f32::MIN_POSITIVE)
}

/// Whether two masks are one and the same to a person.
fn same(a: &[bool], b: &[bool]) -> bool {
    let both = a.iter().zip(b).filter(|(a, b)| **a && **b).count();
    let any = a.iter().zip(b).filter(|(a, b)| **a || **b).count();
    both as f32 >= SAME * any as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [usize; 2] = [10, 10];

    /// Of 100 pixels those from `from` on, so many.
    fn mask(from: usize, count: usize) -> Vec<bool> {
        (0..100)
            .map(|at| (from..from + count).contains(&at))
            .collect()
    }

    #[test]
    fn the_whole_comes_before_its_part_unless_it_is_worse() {
        let masks = [mask(10, 5), mask(10, 20), mask(10, 30)];
        assert_eq!(order(&masks, &[0.9, 0.88, 0.7], SIZE), [1, 0, 2]);
        assert_eq!(order(&masks, &[0.9, 0.86, 0.7], SIZE), [0, 1, 2]);
    }

    #[test]
    fn of_masks_that_show_the_same_the_best_is_taken() {
        let masks = [mask(10, 5), mask(10, 29), mask(10, 30)];
        assert_eq!(order(&masks, &[0.7, 0.9, 0.88], SIZE), [1, 0]);
    }

    #[test]
    fn a_mask_is_stable_where_its_logits_are_far_from_nought() {
        assert_eq!(stability(&[5.0, 3.0, -4.0, -2.0]), 1.0);
        assert_eq!(stability(&[5.0, 0.5, -0.5, -2.0]), 1.0 / 3.0);
        assert_eq!(stability(&[-5.0]), 0.0);
    }

    #[test]
    fn a_box_fits_what_fills_it() {
        // Columns 2 to 5 of ten, rows 5 and 6.
        let block: Vec<bool> = (0..100)
            .map(|at| (2..6).contains(&(at % 10)) && (5..7).contains(&(at / 10)))
            .collect();
        let around = fit(&block, [10, 10], [0.2, 0.5, 0.6, 0.7]);
        assert!((around - 1.0).abs() < 1e-5, "{around}");
        let half = fit(&block, [10, 10], [0.2, 0.3, 0.6, 0.7]);
        assert!((half - 0.5).abs() < 1e-5, "{half}");
        assert_eq!(fit(&block, [10, 10], [0.7, 0.5, 0.9, 0.7]), 0.0);
        assert_eq!(fit(&mask(0, 0), [10, 10], [0.2, 0.3, 0.6, 0.7]), 0.0);
    }

    #[test]
    fn backdrops_have_to_be_better() {
        let masks = [mask(10, 20), mask(0, 70)];
        assert_eq!(order(&masks, &[0.85, 0.9], SIZE), [0, 1]);
        assert_eq!(order(&masks, &[0.7, 0.9], SIZE), [1, 0]);
    }

    #[test]
    fn a_button_is_less_likely_meant_than_who_wears_it() {
        // One pixel of a hundred: two halvings below what people's things are.
        let masks = [mask(55, 1), mask(22, 40), mask(0, 100)];
        assert_eq!(order(&masks, &[0.95, 0.8, 0.97], SIZE), [2, 1, 0]);
        assert_eq!(order(&masks, &[0.95, 0.8, 0.85], SIZE), [1, 0, 2]);
        // Where nothing else is half as good, it is the button.
        assert_eq!(order(&masks, &[0.95, 0.4, 0.5], SIZE), [0, 1, 2]);
    }

    #[test]
    fn large_things_are_no_backdrop_where_they_keep_off_the_border() {
        let inner = |at: usize| (1..9).contains(&(at % 10)) && (1..9).contains(&(at / 10));
        let thing: Vec<bool> = (0..100).map(inner).collect();
        let masks = [mask(33, 4), thing];
        assert_eq!(order(&masks, &[0.9, 0.93], SIZE), [1, 0]);
        assert_eq!(covered(&masks[1], SIZE), [0.64, 0.0]);
        assert_eq!(covered(&mask(0, 100), SIZE), [1.0, 1.0]);
    }

    #[test]
    fn a_better_mask_shows_the_same_thing() {
        let piece = mask(30, 20);
        assert!(stands(&mask(32, 20), &piece, SIZE));
        assert!(stands(&mask(30, 30), &piece, SIZE), "more of it");
        assert!(!stands(&mask(40, 20), &piece, SIZE), "another thing");
        assert!(!stands(&mask(10, 60), &piece, SIZE), "three times as much");
        assert!(
            !stands(&mask(20, 75), &mask(20, 60), SIZE),
            "nearly everything"
        );
        assert!(has(&piece, SIZE, [0.5, 0.35]) && !has(&piece, SIZE, [0.5, 0.55]));
        assert!(has(&mask(90, 10), SIZE, [1.0, 1.0]));
    }

    #[test]
    fn what_looks_the_same_is_offered_once() {
        let masks = [mask(10, 40), mask(11, 40), mask(30, 40), mask(10, 39)];
        assert_eq!(order(&masks, &[0.5, 0.8, 0.6, 0.7], SIZE), [1, 2]);
        // Nothing at all is something, too: there is always one.
        assert_eq!(order(&[mask(0, 0), mask(0, 0)], &[0.2, 0.1], SIZE), [0]);
    }
}
