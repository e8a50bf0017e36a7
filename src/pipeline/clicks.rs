//! What a person points at wins over what the click head makes of it.
//!
//! A head that is wrong about a place stays wrong about it, however often that place is clicked. So its logits are bent
//! around every click they contradict, as far as the head is undecided there: a click that adds a place makes it part of
//! the mask, one that takes a place away removes it. (Jang and Kim's BRS, CVPR 2019, makes clicks hold by optimising the
//! network's input for them; this costs nothing and needs no derivatives.)

use crate::model::entity_encoder::Click;

/// Within this distance of a click, in pixels of the logits, the mask is what the click says.
const CERTAIN: f32 = 2.0;
/// From here on the logits stay as they are.
const REACH: f32 = 6.0;
/// The logit that a click asks for: well inside, so that scaling the mask up does not lose it.
const WANTED: f32 = 1.5;

/// Bends `logits`, `width * height` of them row by row, until every click holds; where two contradict each other, the
/// later one. Clicks that are not in the picture count as on its edge.
pub fn obey(clicks: &[Click], width: usize, height: usize, logits: &mut [f32]) {
    for click in clicks {
        if !(click.x.is_finite() && click.y.is_finite()) {
            continue;
        }
        let x = click.x.clamp(0.0, 1.0) * width as f32;
        let y = click.y.clamp(0.0, 1.0) * height as f32;
        let sign = if click.positive { 1.0 } else { -1.0 };
        let rows = logits.chunks_exact_mut(width.max(1)).take(height);
        for (row, values) in rows.enumerate() {
            let dy = row as f32 + 0.5 - y;
            if dy.abs() > REACH {
                continue;
            }
            for (column, value) in values.iter_mut().enumerate() {
                let distance = (column as f32 + 0.5 - x).hypot(dy);
                let weight = ((REACH - distance) / (REACH - CERTAIN)).clamp(0.0, 1.0);
                let lacking = WANTED - sign * *value;
                // A pixel that says it already stays as it is.
                if lacking > 0.0 {
                    *value += sign * weight * lacking;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn click(x: f32, y: f32, positive: bool) -> Click {
        Click { x, y, positive }
    }

    #[test]
    fn a_click_that_the_head_denies_holds_around_the_place_and_nowhere_else() {
        let (w, h) = (40, 30);
        for (sign, positive) in [(1.0, true), (-1.0, false)] {
            let mut logits = vec![-4.0 * sign; w * h];
            obey(&[click(0.25, 0.5, positive)], w, h, &mut logits);
            let at = |x: usize, y: usize| sign * logits[y * w + x];
            for (x, y) in [(10, 15), (9, 14), (10, 14), (9, 15), (11, 15)] {
                assert!(at(x, y) >= 1.0, "{x} {y}: {}", at(x, y));
            }
            assert_eq!(at(20, 15), -4.0);
            assert_eq!(at(10, 22), -4.0);
        }
    }

    #[test]
    fn a_click_reaches_further_where_the_head_is_undecided() {
        let area = |logit: f32| {
            let mut logits = vec![logit; 40 * 40];
            obey(&[click(0.5, 0.5, true)], 40, 40, &mut logits);
            logits.iter().filter(|l| **l > 0.0).count()
        };
        assert!(area(-0.5) > 2 * area(-8.0), "{} {}", area(-0.5), area(-8.0));
    }

    #[test]
    fn a_head_that_agrees_is_left_alone_and_the_later_click_wins() {
        let agreeing: Vec<f32> = (0..100).map(|i| 2.0 + i as f32).collect();
        let mut logits = agreeing.clone();
        obey(&[click(0.5, 0.5, true)], 10, 10, &mut logits);
        assert_eq!(logits, agreeing);
        obey(
            &[click(0.5, 0.5, true), click(0.5, 0.5, false)],
            10,
            10,
            &mut logits,
        );
        assert!(logits[55] < -1.0);
    }

    #[test]
    fn clicks_on_and_beyond_the_edge_and_broken_ones_do_no_harm() {
        let mut logits = vec![-1.0; 6];
        obey(
            &[click(f32::NAN, 0.5, true), click(9.0, -9.0, true)],
            3,
            2,
            &mut logits,
        );
        assert!(logits[2] > 0.0);
        obey(&[click(0.5, 0.5, true)], 0, 0, &mut []);
    }
}
