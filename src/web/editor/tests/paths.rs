//! Paths that are changed where they lie, and the timeline.

use super::{click, drag, new_editor};
use crate::web::editor::{Editor, End, Gesture, Grip, Held, Lane, Outcome, PathAct, PathOf, Tool};
use dragentity_core::scene::trajectory::{Ease, LEAST_SPAN, Pace};
use dragentity_core::scene::{Trajectory, TrajectoryPoint};

const SHIFT: Held = Held {
    negative: false,
    add: true,
};
const ALT: Held = Held {
    negative: true,
    add: false,
};
const FIRST: PathOf = PathOf::Handle {
    index: 0,
    handle: 0,
};

fn path(points: &[[f32; 3]]) -> Trajectory {
    let point = |&[x, y, t]: &[f32; 3]| TrajectoryPoint::new(x, y, t);
    Trajectory {
        points: points.iter().map(point).collect(),
    }
}

/// A thing at (0.2, 0.5), and a path with a corner at (0.6, 0.5) that ends at (0.6, 0.9).
fn led() -> Editor {
    let mut e = new_editor();
    click(&mut e, 0.2, 0.5);
    let corner = path(&[[0.2, 0.5, 0.0], [0.6, 0.5, 0.7], [0.6, 0.9, 1.0]]);
    e.set_path(FIRST, corner);
    e
}

fn first(e: &Editor) -> &Trajectory {
    e.scene().entities[0].trajectory.as_ref().unwrap()
}

fn places(e: &Editor) -> Vec<[f32; 2]> {
    first(e).points.iter().map(|p| [p.x, p.y]).collect()
}

fn tap(e: &mut Editor, at: [f32; 2], time: f64, held: Held) -> Outcome {
    e.press(at, time, held);
    e.release(at)
}

/// Presses, drags and lets go, with keys held from the beginning.
fn drag_with(e: &mut Editor, from: [f32; 2], to: [f32; 2], held: Held) -> Outcome {
    e.straight = false;
    e.press(from, 0.0, held);
    e.straight = held.add;
    e.drag(to, 100.0, 40.0);
    e.release(to)
}

fn near(a: [f32; 2], b: [f32; 2]) -> bool {
    (a[0] - b[0]).abs() + (a[1] - b[1]).abs() < 1e-4
}

#[test]
fn a_knob_is_dragged_in_one_step_and_keeps_its_time() {
    let mut e = led();
    let shown = |e: &Editor| e.knobs().iter().map(|knob| knob.at).collect::<Vec<_>>();
    // Where it begins the thing is taken hold of.
    assert_eq!(shown(&e), [[0.6, 0.5], [0.6, 0.9]]);
    let before = first(&e).clone();
    e.press([0.603, 0.5], 0.0, Held::default());
    // A hand that is not quite still moves nothing.
    e.drag([0.604, 0.5], 10.0, 2.0);
    assert!(e.in_hand()[0].1 == before);
    e.drag([0.703, 0.3], 20.0, 40.0);
    assert_eq!(
        first(&e),
        &before,
        "nothing has happened before it is let go"
    );
    assert!(near(e.in_hand()[0].1.position(0.7), [0.7, 0.3]));
    let led = e.led().unwrap();
    assert!(led.index == 0 && near(led.handles[0][1], [0.7, 0.3]));
    e.release([0.703, 0.3]);
    assert!(near(places(&e)[1], [0.7, 0.3]) && near(places(&e)[2], [0.6, 0.9]));
    assert_eq!(first(&e).points[1].t, 0.7);
    e.undo();
    assert_eq!(first(&e), &before);
    // Escape: it has not happened.
    e.press([0.6, 0.9], 0.0, Held::default());
    e.drag([0.1, 0.1], 20.0, 40.0);
    e.cancel();
    e.release([0.1, 0.1]);
    assert_eq!(first(&e), &before);
    // With nothing selected, or another tool, there is nothing to take hold of.
    e.set_tool(Tool::Brush);
    assert!(shown(&e).is_empty() && e.grip_at([0.6, 0.5]).is_none());
    e.set_tool(Tool::Move);
    e.select(None);
    assert!(shown(&e).is_empty() && e.grip_at([0.6, 0.5]).is_none());
}

#[test]
fn a_point_is_put_in_where_the_line_is_dragged() {
    let mut e = led();
    assert!(matches!(e.grip_at([0.4, 0.5]), Some(Grip::Line { .. })));
    drag_with(&mut e, [0.4, 0.5], [0.4, 0.2], Held::default());
    assert_eq!(places(&e).len(), 4);
    // As near as a curve's nearest place is found.
    let [x, y] = places(&e)[1];
    assert!((x - 0.4).abs() + (y - 0.2).abs() < 1e-3, "{x} {y}");
    assert!(near(places(&e)[2], [0.6, 0.5]));
    // It is the chosen one: Delete takes it away, and not the thing.
    e.delete_selected();
    assert_eq!((places(&e).len(), e.scene().entities.len()), (3, 1));
    e.undo();
    assert_eq!(places(&e).len(), 4);
    e.undo();
    assert_eq!(places(&e).len(), 3);
    // Nothing is suggested where the path would be taken hold of.
    assert!(matches!(e.rest([0.6, 0.7]), Outcome::Nothing));
    assert!(matches!(e.rest([0.9, 0.2]), Outcome::Suggest { .. }));
    // A click on the line is one on what is below it.
    let clicked = tap(&mut e, [0.6, 0.7], 0.0, Held::default());
    assert!(matches!(clicked, Outcome::Segment(_)));
    assert_eq!(places(&e).len(), 3);
}

#[test]
fn a_knob_goes_by_delete_by_alt_click_and_by_a_double_tap() {
    let mut e = led();
    let corner = [0.6, 0.5];
    tap(&mut e, corner, 0.0, Held::default());
    assert!(e.knobs()[0].chosen);
    e.delete_selected();
    assert_eq!(places(&e), [[0.2, 0.5], [0.6, 0.9]]);
    e.undo();
    tap(&mut e, corner, 0.0, ALT);
    assert_eq!(places(&e).len(), 2);
    e.undo();
    tap(&mut e, corner, 1000.0, Held::default());
    tap(&mut e, corner, 1200.0, Held::default());
    assert_eq!(places(&e).len(), 2);
    e.undo();
    // Two taps that have nothing to do with each other are none.
    tap(&mut e, corner, 2000.0, Held::default());
    tap(&mut e, corner, 9000.0, Held::default());
    tap(&mut e, [0.6, 0.9], 9100.0, Held::default());
    assert_eq!(places(&e).len(), 3);
    // Escape puts it down, and only then deselects.
    e.cancel();
    assert_eq!((e.chosen_knob(), e.selected()), (None, Some(0)));
    // Without the last one there is no path; the thing stays.
    tap(&mut e, corner, 0.0, ALT);
    tap(&mut e, [0.6, 0.9], 0.0, ALT);
    assert!(!e.scene().entities[0].has_motion());
    assert_eq!(e.scene().entities.len(), 1);
}

#[test]
fn the_keyboard_takes_up_points_and_moves_them() {
    let mut e = new_editor();
    assert!(matches!(e.next_knob(), Outcome::Say(_)));
    e = led();
    let status = crate::web::editor::Status::default();
    assert!(e.hint(status).1.contains("points of the path"));
    e.next_knob();
    assert!(e.hint(status).1.contains("Delete"));
    e.nudge(0.0, -0.1, 0.0);
    e.nudge(0.0, -0.1, 0.0);
    assert!(near(places(&e)[1], [0.6, 0.3]) && e.crosshair.is_none());
    e.next_knob();
    e.nudge(0.05, 0.0, 0.0);
    assert!(near(places(&e)[2], [0.65, 0.9]));
    // Round again.
    e.next_knob();
    assert_eq!(e.chosen_knob(), Some((FIRST, 1)));
    e.delete_selected();
    assert_eq!(places(&e).len(), 2);
    // Without one the arrows move the crosshair, as ever.
    e.nudge(0.1, 0.0, 0.0);
    assert!(e.crosshair.is_some());
}

#[test]
fn a_thing_is_led_anew_from_where_it_was_taken_and_another_from_below_a_path() {
    let mut e = led();
    drag(&mut e, &[[0.2, 0.5], [0.2, 0.4], [0.2, 0.1]]);
    assert!(near(*places(&e).last().unwrap(), [0.2, 0.1]));
    assert!(places(&e).iter().all(|p| (p[0] - 0.2).abs() < 1e-3));
    // Anywhere on it, on its path's line, too.
    for from in [[0.16, 0.44], [0.26, 0.5]] {
        e.undo();
        drag(&mut e, &[from, [0.1, 0.2]]);
        assert_eq!(places(&e)[0], from);
    }
    e.undo();
    // A second thing under the first one's path.
    e.select(None);
    click(&mut e, 0.45, 0.5);
    e.select(Some(0));
    assert!(e.grip_at([0.45, 0.5]).is_none());
    drag(&mut e, &[[0.45, 0.5], [0.45, 0.9]]);
    assert!(e.scene().entities[1].moves());
    assert_eq!(places(&e).len(), 3);
}

#[test]
fn a_point_stays_at_the_middle_of_another_thing() {
    let mut e = led();
    e.select(None);
    click(&mut e, 0.9, 0.2);
    e.select(Some(0));
    drag_with(&mut e, [0.6, 0.9], [0.904, 0.206], Held::default());
    let end = places(&e).last().copied().unwrap();
    let middle = e.scene().entities[1].mask.centroid().unwrap();
    assert!(near(end, middle), "{end:?} {middle:?}");
    // Not its own, not that of what is hidden, and not from far away.
    e.toggle_hidden(1, false);
    drag_with(&mut e, middle, [0.7, 0.7], Held::default());
    drag_with(&mut e, [0.7, 0.7], [0.904, 0.206], Held::default());
    let end = places(&e).last().copied().unwrap();
    assert!(near(end, [0.904, 0.206]), "{end:?}");
}

#[test]
fn all_of_a_path_is_moved() {
    let mut e = led();
    drag_with(&mut e, [0.45, 0.5], [0.55, 0.5], SHIFT);
    assert!(near(places(&e)[0], [0.3, 0.5]) && near(places(&e)[2], [0.7, 0.9]));
    // The camera's begins nowhere in particular.
    e.set_tool(Tool::Camera);
    drag(&mut e, &[[0.3, 0.3], [0.5, 0.3], [0.8, 0.3]]);
    let camera = |e: &Editor| e.scene().background.clone().unwrap();
    assert!(matches!(
        e.grip_at([0.3, 0.3]),
        Some(Grip::Knob {
            of: PathOf::Camera,
            point: 0
        })
    ));
    drag_with(&mut e, [0.3, 0.3], [0.3, 0.6], Held::default());
    assert!(near(camera(&e).start(), [0.3, 0.6]) && near(camera(&e).position(1.0), [0.8, 0.6]));
    drag_with(&mut e, [0.8, 0.6], [0.8, 0.2], Held::default());
    assert!(near(camera(&e).start(), [0.3, 0.6]) && near(camera(&e).position(1.0), [0.8, 0.2]));
    // Off them it is drawn anew.
    drag(&mut e, &[[0.1, 0.9], [0.3, 0.9]]);
    assert!(near(camera(&e).start(), [0.1, 0.9]));
}

#[test]
fn knobs_of_several_handles_move_their_own_paths() {
    let mut e = new_editor();
    click(&mut e, 0.5, 0.5);
    e.set_tool(Tool::Bend);
    tap(&mut e, [0.45, 0.5], 0.0, Held::default());
    drag(&mut e, &[[0.55, 0.5], [0.7, 0.5], [0.9, 0.5]]);
    let end = |e: &Editor| {
        e.scene().entities[0]
            .held_by()
            .nth(1)
            .unwrap()
            .position(1.0)
    };
    assert!(near(end(&e), [0.9, 0.5]));
    drag_with(&mut e, [0.9, 0.5], [0.9, 0.1], Held::default());
    assert!(near(end(&e), [0.9, 0.1]));
    let entity = &e.scene().entities[0];
    assert!(entity.trajectory.as_ref().unwrap().is_pin());
    assert!(near(entity.handles[0].start(), [0.55, 0.5]));
}

#[test]
fn shift_draws_straight_by_eighths_of_a_turn() {
    let mut e = new_editor();
    click(&mut e, 0.2, 0.5);
    e.press([0.2, 0.5], 0.0, Held::default());
    e.straight = true;
    for (i, to) in [[0.3, 0.52], [0.5, 0.55], [0.7, 0.53]]
        .into_iter()
        .enumerate()
    {
        e.drag(to, 100.0 * i as f64, 40.0);
    }
    // Free again from there.
    e.straight = false;
    e.drag([0.75, 0.9], 400.0, 40.0);
    e.release([0.75, 0.9]);
    let before = first(&e).points.iter().rfind(|p| p.y < 0.6).unwrap();
    assert!(near([before.x, before.y], [0.7, 0.5]), "{:?}", places(&e));
    // An eighth, as the picture is seen: it is half again as wide as high.
    drag_with(&mut e, [0.2, 0.5], [0.4, 0.22], SHIFT);
    e.press([0.2, 0.5], 0.0, Held::default());
    e.drag([0.3, 0.4], 0.0, 40.0);
    e.straight = true;
    e.drag([0.4, 0.22], 100.0, 40.0);
    e.release([0.4, 0.22]);
    let [dx, dy] = [0, 1].map(|axis| places(&e).last().unwrap()[axis] - places(&e)[0][axis]);
    assert!((dx * 1.5 + dy).abs() < 1e-3 && dx > 0.1, "{:?}", places(&e));
}

#[test]
fn paths_are_turned_closed_mirrored_and_copied_to_another_thing() {
    let mut e = led();
    let before = first(&e).clone();
    for act in ["reverse", "return", "close", "mirror", "flip"] {
        let act = PathAct::from_name(act).unwrap();
        assert!(matches!(e.change_path(act), Outcome::Changed));
        assert_ne!(first(&e), &before, "{act:?}");
        assert!(near(first(&e).start(), [0.2, 0.5]));
        e.undo();
        assert_eq!(first(&e), &before);
    }
    assert!(PathAct::from_name("nonsense").is_none());
    e.change_path(PathAct::Close);
    assert!(near(first(&e).position(1.0), [0.2, 0.5]));
    assert!(matches!(e.change_path(PathAct::Close), Outcome::Say(_)));
    e.undo();

    assert!(
        matches!(e.paste_path(), Outcome::Say(_)),
        "nothing is copied yet"
    );
    let text = e.copy_path().unwrap();
    e.select(None);
    assert!(e.copy_path().is_none());
    assert!(
        matches!(e.paste_path(), Outcome::Say(_)),
        "nothing is selected"
    );
    click(&mut e, 0.3, 0.2);
    e.paste_path();
    let pasted = e.scene().entities[1].trajectory.clone().unwrap();
    assert!(near(pasted.start(), [0.3, 0.2]) || (pasted.start()[0] - 0.3).abs() < 0.02);
    let [from, to] = [pasted.start(), pasted.position(1.0)];
    assert!(near([to[0] - from[0], to[1] - from[1]], [0.4, 0.4]));
    // In another tab.
    let mut other = led();
    assert!(other.take_copied(&text) && other.has_copied());
    other.set_tool(Tool::Camera);
    other.paste_path();
    assert_eq!(other.scene().background.as_ref(), Some(&before));
    for bad in [
        "",
        "hello",
        "{\"dragentity_path\": 3}",
        "{\"dragentity_path\": [[1, 2]]}",
        "{\"dragentity_path\": [[1e999, 2, 3]]}",
    ] {
        assert!(!led().take_copied(bad), "{bad}");
    }
    // Of nothing there is a path that stays.
    assert!(other.take_copied("{\"dragentity_path\": []}"));
    other.paste_path();
}

#[test]
fn lanes_are_shifted_and_shortened_within_the_video() {
    let mut e = led();
    let lane = Lane::Entity(0);
    assert_eq!(e.lanes(), [lane]);
    assert_eq!(e.ticks(lane), [0.0, 0.7, 1.0]);
    e.begin_retime(lane, End::End);
    e.drag_retime(-0.5);
    assert_eq!((e.span(lane), first(&e).span()), ([0.0, 0.5], [0.0, 1.0]));
    assert!((e.ticks(lane)[1] - 0.35).abs() < 1e-5);
    assert!(e.knobs().is_empty() && e.in_hand()[0].1.span() == [0.0, 0.5]);
    e.release([0.0; 2]);
    assert_eq!(first(&e).span(), [0.0, 0.5]);
    e.begin_retime(lane, End::Both);
    e.drag_retime(7.0);
    e.release([0.0; 2]);
    assert_eq!(first(&e).span(), [0.5, 1.0]);
    e.undo();
    assert_eq!(first(&e).span(), [0.0, 0.5]);
    // By keys, and never beyond what there is.
    e.retime(lane, End::Both, 0.25);
    assert_eq!(e.span(lane), [0.25, 0.75]);
    e.retime(lane, End::Start, 9.0);
    assert!((e.span(lane)[0] - (0.75 - LEAST_SPAN)).abs() < 1e-5);
    e.retime(lane, End::End, f32::NAN);
    e.retime(lane, End::End, -9.0);
    let [from, to] = e.span(lane);
    assert!(to - from > LEAST_SPAN / 2.0 && from >= 0.0 && to <= 1.0);
    assert_eq!(places(&e).len(), 3, "no point is lost on the way");
    // Escape.
    e.begin_retime(lane, End::Both);
    e.drag_retime(-0.5);
    e.cancel();
    assert_eq!(e.span(lane), [from, to]);
    assert!(matches!(e.gesture(), Gesture::Idle));
    // What does not move has none, nor what is not there.
    e.toggle_pin(0);
    assert!(e.lanes().is_empty());
    assert!(matches!(e.begin_retime(lane, End::Both), Outcome::Nothing));
    assert!(matches!(
        e.retime(Lane::Camera, End::Start, 0.1),
        Outcome::Nothing
    ));
    e.set_background(Some(Trajectory::line([0.5, 0.5], [0.6, 0.5])));
    assert_eq!(e.lanes(), [Lane::Camera]);
    e.retime(Lane::Camera, End::Start, 0.5);
    assert_eq!(e.scene().background.as_ref().unwrap().span(), [0.5, 1.0]);
}

#[test]
fn a_lane_has_a_rhythm() {
    let mut e = led();
    let lane = Lane::Entity(0);
    assert_eq!(e.ease(lane), None, "as drawn");
    for ease in Ease::ALL {
        e.set_ease(lane, ease);
        assert_eq!(e.ease(lane), Some(ease));
        assert_eq!(e.span(lane), [0.0, 1.0]);
        // What was put in for the rhythm is no knob.
        assert!(e.ticks(lane).len() <= 4, "{ease:?} {:?}", e.ticks(lane));
    }
    assert!(e.undo_label().is_some());
    for _ in Ease::ALL {
        e.undo();
    }
    assert_eq!(e.ease(lane), None);
}

#[test]
fn a_point_becomes_a_corner_and_smooth_again() {
    let mut e = led();
    assert_eq!(e.corner(), None);
    assert!(matches!(e.toggle_corner(), Outcome::Say(_)));
    tap(&mut e, [0.6, 0.5], 0.0, Held::default());
    assert_eq!(e.corner(), Some(false));
    e.toggle_corner();
    assert_eq!(e.corner(), Some(true));
    assert!(first(&e).points[1].corner && e.knobs().iter().any(|knob| knob.corner));
    // Straight up to there, as fast as it goes on.
    let at = first(&e).position(0.35);
    assert!(near(at, [0.4, 0.5]), "{at:?}");
    // The ends are none.
    tap(&mut e, [0.6, 0.9], 2000.0, Held::default());
    assert_eq!(e.corner(), None);
    assert!(matches!(e.toggle_corner(), Outcome::Say(_)));
    // A copied path keeps it.
    let text = e.copy_path().unwrap();
    let mut other = new_editor();
    click(&mut other, 0.2, 0.5);
    assert!(other.take_copied(&text));
    other.paste_path();
    assert!(first(&other).points[1].corner);
    e.undo();
    assert!(!first(&e).points[1].corner);
}

#[test]
fn a_rhythm_is_drawn_by_its_knobs_in_one_step() {
    let mut e = led();
    let lane = Lane::Entity(0);
    e.set_ease(lane, Ease::Steady);
    let Some(Pace(before)) = e.pace(lane) else {
        panic!("it has a rhythm");
    };
    assert!((before[1] - 0.5).abs() < 0.02, "{before:?}");
    e.begin_pace(lane, 1);
    e.drag_pace(-0.3);
    let Some(Pace(now)) = e.pace(lane) else {
        panic!("it still has one");
    };
    // What it would pass goes along.
    assert!((now[1] - 0.2).abs() < 0.02 && now[0] <= now[1] && now[2] == before[2]);
    e.release([0.0; 2]);
    let Some(Pace(kept)) = e.pace(lane) else {
        panic!("it still has one");
    };
    for (kept, now) in kept.iter().zip(now) {
        assert!((kept - now).abs() < 0.05, "{kept} for {now}");
    }
    assert_eq!(e.ease(lane), None);
    e.undo();
    assert_eq!(e.ease(lane), Some(Ease::Steady));
    e.raise_pace(lane, 2, f32::NAN);
    e.raise_pace(lane, 2, 0.1);
    assert!(
        e.pace(lane)
            .is_some_and(|Pace(ways)| ways[2] > before[2] + 0.05)
    );
    assert!(matches!(e.begin_pace(Lane::Camera, 0), Outcome::Nothing));
}
