//! The keyboard in the pointer's place: a crosshair, clicks at it, paths that are led with the arrow keys.

use super::{Editor, Gesture, Held, Outcome, Tool, anchor};
use dragentity_core::scene::trajectory::DragPoint;

impl Editor {
    /// Moves the knob that was taken up, else the keyboard's crosshair; while a path is being led, the path follows it.
    pub fn nudge(&mut self, dx: f32, dy: f32, time: f64) -> Outcome {
        if matches!(self.gesture, Gesture::Idle) && self.chosen_knob().is_some() {
            return self.nudge_knob([dx, dy]);
        }
        let [x, y] = self.crosshair.unwrap_or([0.5, 0.5]);
        let leading = matches!(self.gesture, Gesture::Path { .. } | Gesture::Camera { .. });
        let reach = if leading { -0.5..=1.5 } else { 0.0..=1.0 };
        let at = [
            (x + dx).clamp(*reach.start(), *reach.end()),
            (y + dy).clamp(*reach.start(), *reach.end()),
        ];
        self.crosshair = Some(at);
        if leading {
            return self.drag(at, time, f32::INFINITY);
        }
        Outcome::Draw
    }

    /// A click at the crosshair, or the end of the path that is being led.
    pub fn enter(&mut self) -> Outcome {
        let at = *self.crosshair.get_or_insert([0.5, 0.5]);
        if matches!(self.gesture, Gesture::Path { .. } | Gesture::Camera { .. }) {
            return self.release(at);
        }
        match self.tool {
            Tool::Move | Tool::Exclude => self.click(at, self.hit(at), Held::default()),
            _ => {
                let pressed = self.press(at, 0.0, Held::default());
                if matches!(pressed, Outcome::Say(_)) {
                    return pressed;
                }
                self.release(at)
            }
        }
    }

    /// Begins (or ends) a path from the crosshair, led with the arrow keys.
    pub fn lead(&mut self, time: f64) -> Outcome {
        if matches!(self.gesture, Gesture::Path { .. } | Gesture::Camera { .. }) {
            return self.enter();
        }
        if self.tool == Tool::Camera {
            let at = *self.crosshair.get_or_insert([0.5, 0.5]);
            return self.press(at, time, Held::default());
        }
        let Some((index, entity)) = self.selected.zip(self.selected_entity()) else {
            return Outcome::Say(
                "Select an entity first: move the crosshair with the arrow keys and press Enter.",
            );
        };
        if let Some(barred) = self.barred() {
            return barred;
        }
        let at = match self.crosshair {
            Some(at) if entity.mask.contains(at[0], at[1]) => at,
            _ => anchor(&entity.mask),
        };
        let (handle, at) = match self.tool {
            Tool::Bend => match self.begin_handle(index, at) {
                Ok((handle, from)) => (Some(handle), from),
                Err(why) => return Outcome::Say(why),
            },
            _ => (None, at),
        };
        self.crosshair = Some(at);
        self.gesture = Gesture::Path {
            index,
            handle,
            beside: [0.0; 2],
            points: vec![DragPoint {
                x: at[0],
                y: at[1],
                time,
            }],
        };
        Outcome::Changed
    }
}
