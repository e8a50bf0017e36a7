//! What a person points at wins over what a network makes of it.
//!
//! A network that is wrong about a place stays wrong about it, however often that place is clicked. So its logits are bent
//! around every click that they contradict, no more than it takes: a click that adds a place makes it part of the mask, one
//! that takes a place away removes it. (Jang and Kim's BRS, CVPR 2019, makes clicks hold by optimising the network's input
//! for them; this costs nothing and needs no derivatives.)

use dragentity_core::Click;

/// The logit that a click asks for at its place.
const WANTED: f32 = 0.7;
/// Within this share of the longer side from a click, the mask is what the click says.
const CERTAIN: f32 = 0.006;
/// How far a correction reaches beyond, in the same unit: the deviation of a Gaussian.
const REACH: f32 = 0.012;

/// Bends `logits`, `width * height` of them row by row, until every click holds; where two contradict each other, the
/// later one. Clicks that are not in the picture count as on its edge.
pub fn obey(clicks: &[Click], width: usize, height: usize, logits: &mut [f32]) {
    if width == 0 || logits.len() != width * height {
        return;
    }
    for click in clicks {
        if !(click.x.is_finite() && click.y.is_finite()) {
            continue;
        }
        // Between pixel centres; the four around it decide, as they do when the mask is scaled up.
        let x = (click.x.clamp(0.0, 1.0) * width as f32 - 0.5).max(0.0);
        let y = (click.y.clamp(0.0, 1.0) * height as f32 - 0.5).max(0.0);
        let around =
            |at: f32, size: usize| [at.floor(), at.ceil()].map(|v| (v as usize).min(size - 1));
        let sign = if click.positive { 1.0 } else { -1.0 };
        let mut lacking = 0.0_f32;
        for row in around(y, height) {
            for column in around(x, width) {
                lacking = lacking.max(WANTED - sign * logits[row * width + column]);
            }
        }
        if lacking <= 0.0 {
            continue;
        }
        let side = width.max(height) as f32;
        // Beyond four deviations nothing changes.
        let window = side * (CERTAIN + 4.0 * REACH) + 1.0;
        let span = |at: f32, size: usize| {
            let last = ((at + window) as usize + 1).min(size);
            (at - window).max(0.0) as usize..last
        };
        for row in span(y, height) {
            for column in span(x, width) {
                let distance = (column as f32 - x).hypot(row as f32 - y);
                // Flat over the pixels that decide, however few there are.
                let certain = (CERTAIN * side).max(std::f32::consts::SQRT_2);
                let beyond = (distance - certain).max(0.0) / (REACH * side);
                logits[row * width + column] += sign * lacking * (-0.5 * beyond * beyond).exp();
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
            // The click lies where these four meet.
            for (x, y) in [(10, 15), (9, 14), (10, 14), (9, 15)] {
                assert!(at(x, y) >= 0.69, "{x} {y}: {}", at(x, y));
            }
            for (x, y) in [(20, 15), (10, 22), (0, 0)] {
                assert!((at(x, y) + 4.0).abs() < 0.01, "{x} {y}: {}", at(x, y));
            }
            let area = logits.iter().filter(|l| sign * **l > 0.0).count();
            assert!((4..30).contains(&area), "{area} pixels flipped");
        }
    }

    #[test]
    fn a_click_reaches_further_where_the_head_is_undecided() {
        let area = |logit: f32| {
            let mut logits = vec![logit; 200 * 200];
            obey(&[click(0.5, 0.5, true)], 200, 200, &mut logits);
            logits.iter().filter(|l| **l > 0.0).count()
        };
        assert!(area(-0.1) > 2 * area(-8.0), "{} {}", area(-0.1), area(-8.0));
    }

    #[test]
    fn a_head_that_agrees_is_left_alone_and_the_later_click_wins() {
        let agreeing: Vec<f32> = (0..100)
            .map(|i| if i % 10 > 3 { 1.0 } else { -3.0 })
            .collect();
        let mut logits = agreeing.clone();
        obey(&[click(0.65, 0.5, true)], 10, 10, &mut logits);
        assert_eq!(
            logits, agreeing,
            "what surrounds the click is none of its business"
        );
        obey(
            &[click(0.65, 0.5, true), click(0.65, 0.5, false)],
            10,
            10,
            &mut logits,
        );
        assert!(logits[56] < -0.6, "{}", logits[56]);
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
