//! Learning rate over a run.

/// Linear warm-up, then a half cosine down to a twentieth of the peak.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Peak learning rate.
    pub peak: f64,
    /// Steps of warm-up.
    pub warmup: u64,
}

impl Schedule {
    /// The rate at `step`, when `progress` (0..1) of the run is over.
    ///
    /// Progress is a fraction and not a step count because a run may be bounded by time.
    pub fn rate(&self, step: u64, progress: f64) -> f64 {
        let warm = ((step + 1) as f64 / self.warmup.max(1) as f64).min(1.0);
        let floor = 0.05;
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress.clamp(0.0, 1.0)).cos());
        self.peak * warm * (floor + (1.0 - floor) * cosine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warms_up_then_falls_to_a_twentieth() {
        let schedule = Schedule {
            peak: 1.0,
            warmup: 10,
        };
        assert!((schedule.rate(0, 0.0) - 0.1).abs() < 1e-9);
        assert!((schedule.rate(9, 0.0) - 1.0).abs() < 1e-9);
        assert!(schedule.rate(100, 0.5) < schedule.rate(100, 0.4));
        assert!((schedule.rate(1000, 1.0) - 0.05).abs() < 1e-9);
        assert!((schedule.rate(1000, 7.0) - 0.05).abs() < 1e-9);
    }
}
