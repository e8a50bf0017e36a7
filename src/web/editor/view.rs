//! How near the picture is looked at, and which part of it is in the frame.

/// How many times larger than it fits the frame.
const MOST: f64 = 8.0;
/// What is nearer to fitting than this fits.
const FITS: f64 = 1.02;

/// Which part of the picture fills its frame. Places in the frame are fractions of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// How many times larger than it fits.
    zoom: f64,
    /// How much of the enlarged picture lies left of and above the frame, in widths and heights of the frame.
    corner: [f64; 2],
}

impl Default for View {
    fn default() -> Self {
        Self {
            zoom: 1.0,
            corner: [0.0; 2],
        }
    }
}

impl View {
    /// How many times larger than it fits, at least 1.
    pub fn zoom(&self) -> f64 {
        self.zoom
    }

    /// How much of the enlarged picture lies left of and above the frame, in widths and heights of the frame.
    pub fn corner(&self) -> [f64; 2] {
        self.corner
    }

    /// Whether all of the picture is seen.
    pub fn is_whole(&self) -> bool {
        self.zoom == 1.0
    }

    /// Nearer by a factor, so that what is at a place of the frame stays there.
    pub fn zoomed(self, factor: f64, about: [f64; 2]) -> Self {
        let zoom = match (self.zoom * factor).clamp(1.0, MOST) {
            zoom if zoom.is_nan() => self.zoom,
            zoom if zoom < FITS => 1.0,
            zoom => zoom,
        };
        let at = [0, 1].map(|i| (about[i] + self.corner[i]) / self.zoom * zoom - about[i]);
        Self { zoom, corner: at }.bounded()
    }

    /// Moved with the hand, by fractions of the frame.
    pub fn moved(self, by: [f64; 2]) -> Self {
        let corner = [0, 1].map(|i| self.corner[i] - by[i]);
        Self { corner, ..self }.bounded()
    }

    /// No place outside of the picture is in the frame.
    fn bounded(self) -> Self {
        let bound = |at: f64| match at.is_finite() {
            true => at.clamp(0.0, self.zoom - 1.0),
            false => 0.0,
        };
        Self {
            corner: self.corner.map(bound),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The place of the picture, in fractions of it, that is at a place of the frame.
    fn seen(view: View, at: [f64; 2]) -> [f64; 2] {
        [0, 1].map(|i| (at[i] + view.corner()[i]) / view.zoom())
    }

    #[test]
    fn what_is_under_the_pointer_stays_there() {
        let view = View::default().zoomed(2.0, [0.25, 0.5]);
        assert_eq!(seen(view, [0.25, 0.5]), [0.25, 0.5]);
        let nearer = view.zoomed(1.5, [0.9, 0.1]);
        let (before, now) = (seen(view, [0.9, 0.1]), seen(nearer, [0.9, 0.1]));
        assert!((before[0] - now[0]).abs() < 1e-9 && (before[1] - now[1]).abs() < 1e-9);
        // A hand takes the picture along.
        let moved = nearer.moved([0.1, 0.0]);
        assert!(seen(moved, [0.6, 0.5])[0] < seen(nearer, [0.6, 0.5])[0]);
        assert_eq!(nearer.zoomed(0.001, [0.3, 0.3]), View::default());
    }

    proptest! {
        #[test]
        fn the_frame_is_always_full(steps in proptest::collection::vec((0.0f64..5.0, -3.0f64..3.0, -3.0f64..3.0), 1..20)) {
            let mut view = View::default();
            for (i, (factor, x, y)) in steps.into_iter().enumerate() {
                view = if i % 2 == 0 { view.zoomed(factor, [x, y]) } else { view.moved([x, y]) };
                for at in [[0.0, 0.0], [1.0, 1.0]] {
                    for place in seen(view, at) {
                        prop_assert!((-1e-9..=1.0 + 1e-9).contains(&place));
                    }
                }
                prop_assert!((1.0..=MOST).contains(&view.zoom()));
            }
        }

        #[test]
        fn no_number_is_too_odd(factor in any::<f64>(), x in any::<f64>(), y in any::<f64>()) {
            let view = View::default().zoomed(factor, [x, y]).moved([y, x]);
            prop_assert!(view.zoom().is_finite() && view.corner().iter().all(|c| c.is_finite()));
        }
    }
}
