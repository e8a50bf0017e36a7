//! Turns, scales and depths over time.

use super::{click, drag, new_editor};
use crate::web::editor::{Editor, End, Gesture, Held, Lane, Outcome, PosePart, Tool};
use dragentity_core::scene::view::Zoom;
use dragentity_core::scene::{Pose, Trajectory};

/// A thing at (0.3, 0.5) without a path, the playhead in the middle of the video.
fn thing() -> Editor {
    let mut e = new_editor();
    click(&mut e, 0.3, 0.5);
    e.moment = Some(0.5);
    e
}

fn poses(e: &Editor) -> &[Pose] {
    &e.scene().entities[0].poses
}

#[test]
fn the_round_handle_turns_and_the_square_one_scales_at_the_playhead() {
    let mut e = thing();
    let handles = e.pose_handles().unwrap();
    // A quarter of a turn clockwise: from above to the right.
    let [x, y] = handles.pivot;
    let far = y - handles.turn[1];
    let right = [x + far / e.aspect(), y];
    assert_eq!(e.pose_part_at(handles.turn), Some(PosePart::Turn));
    drag(&mut e, &[handles.turn, right]);
    assert_eq!(poses(&e).len(), 1);
    assert!((poses(&e)[0].rotation - 90.0).abs() < 0.5 && poses(&e)[0].t == 0.5);
    assert!(e.scene().entities[0].moves() && e.lanes() == [Lane::Entity(0)]);
    assert_eq!(e.undo_label(), Some("trajectory"));

    let handles = e.pose_handles().unwrap();
    let twice = [0, 1].map(|i| handles.pivot[i] + 2.0 * (handles.scale[i] - handles.pivot[i]));
    drag(&mut e, &[handles.scale, twice]);
    assert_eq!(poses(&e).len(), 1, "it is the same moment");
    assert!((poses(&e)[0].scale - 2.0).abs() < 0.02, "{:?}", poses(&e));
    // Later it is another key pose.
    e.moment = Some(1.0);
    e.set_pose(0, PosePart::Depth, 3.0);
    assert_eq!(e.keys(0), [0.5, 1.0]);
    assert_eq!((poses(&e)[1].depth, poses(&e)[0].depth), (3.0, 0.0));
    for _ in 0..3 {
        e.undo();
    }
    assert!(poses(&e).is_empty());
}

#[test]
fn more_than_half_a_turn_is_counted_and_shift_goes_by_steps() {
    let mut e = thing();
    let handles = e.pose_handles().unwrap();
    let ([x, y], far) = (handles.pivot, handles.pivot[1] - handles.turn[1]);
    e.press(handles.turn, 0.0, Held::default());
    e.straight = true;
    for degrees in [20.0f32, 130.0, 230.0, 320.0, 400.0, 452.0] {
        let (sin, cos) = (degrees.to_radians() - std::f32::consts::FRAC_PI_2).sin_cos();
        e.drag([x + far * cos / e.aspect(), y + far * sin], 10.0, 40.0);
    }
    assert_eq!(e.posed().unwrap().1[0].rotation, 450.0);
    e.release([x, y]);
    assert_eq!(poses(&e)[0].rotation, 450.0);
    // What is begun can be left.
    let handles = e.pose_handles().unwrap();
    e.press(handles.turn, 0.0, Held::default());
    e.drag([x, y + far], 10.0, 40.0);
    e.cancel();
    assert_eq!(poses(&e)[0].rotation, 450.0);
}

#[test]
fn handles_are_there_where_they_mean_something() {
    let mut e = thing();
    e.moment = None;
    assert!(e.pose_handles().is_none(), "the first frame is the picture");
    // Numbers then are of the end.
    e.set_pose(0, PosePart::Turn, 45.0);
    assert_eq!((poses(&e)[0].t, poses(&e)[0].rotation), (1.0, 45.0));
    assert_eq!(e.pose_now(0).rotation, 45.0);
    e.moment = Some(0.5);
    e.toggle_locked(0, false);
    assert!(e.pose_handles().is_none());
    e.toggle_locked(0, false);
    e.select(None);
    assert!(e.pose_handles().is_none());
    e.set_pose(0, PosePart::Scale, f32::NAN);
    e.set_pose(9, PosePart::Scale, 2.0);
    assert_eq!(poses(&e).len(), 1);
}

#[test]
fn key_poses_are_shifted_between_others_and_deleted() {
    let mut e = thing();
    for (t, turn) in [(0.25, 10.0), (0.5, 20.0), (1.0, 30.0)] {
        e.moment = Some(t);
        e.set_pose(0, PosePart::Turn, turn);
    }
    e.begin_key(0, 1);
    e.drag_key(0.2);
    assert_eq!(e.keys(0)[1], 0.7);
    assert!(matches!(e.gesture(), Gesture::Key(_)));
    e.release([0.0; 2]);
    assert_eq!(e.keys(0), [0.25, 0.7, 1.0]);
    // Not past the next.
    e.shift_key(0, 1, 0.9);
    assert!(e.keys(0)[1] < 1.0 && e.keys(0)[1] > 0.9);
    e.shift_key(0, 0, -2.0);
    assert!(e.keys(0)[0] > 0.0 && e.keys(0)[0] < 0.01);
    e.delete_key(0, 0);
    assert_eq!(poses(&e).len(), 2);
    assert!(matches!(e.delete_key(0, 7), Outcome::Nothing));
    for _ in 0..4 {
        e.undo();
    }
    assert_eq!(e.keys(0), [0.25, 0.5, 1.0]);
}

#[test]
fn a_preset_that_says_how_the_picture_is_goes_on_from_there() {
    let mut e = thing();
    let told = |t, rotation| Pose {
        t,
        rotation,
        ..Pose::default()
    };
    e.set_motion(0, Vec::new(), vec![told(0.0, 30.0), told(1.0, 90.0)], None);
    let before = e.pose_now(0).rotation;
    e.set_pose(0, PosePart::Depth, 1.0);
    assert!((e.pose_now(0).rotation - before).abs() < 1e-3);
    let end = Pose::at(poses(&e), 1.0);
    assert!((end.rotation - 60.0).abs() < 1e-3, "{end:?}");
}

/// The camera's tool, and the playhead at the end of the video.
fn camera() -> Editor {
    let mut e = new_editor();
    e.set_tool(Tool::Camera);
    e.moment = Some(1.0);
    e
}

#[test]
fn the_cameras_frame_has_handles_of_its_own() {
    let mut e = camera();
    assert_eq!(
        e.camera_frame(),
        Some([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    );
    assert!(e.lanes().is_empty() && !e.can_generate());
    // Half as wide a frame sees everything twice as large.
    let handles = e.pose_handles().unwrap();
    let half = [0, 1].map(|i| (handles.pivot[i] + handles.scale[i]) / 2.0);
    assert_eq!(e.pose_part_at(handles.scale), Some(PosePart::Scale));
    drag(&mut e, &[handles.scale, half]);
    assert!((e.pose_now(Lane::Camera).scale - 2.0).abs() < 0.02);
    assert_eq!(e.undo_label(), Some("camera"));
    assert!(e.can_generate() && e.lanes() == [Lane::Camera]);
    // Its place is led elsewhere, and the frame with it.
    let before = e.camera_frame().unwrap();
    assert_eq!(e.pose_part_at([0.5, 0.5]), Some(PosePart::Place));
    drag(&mut e, &[[0.5, 0.5], [0.3, 0.7]]);
    let after = e.camera_frame().unwrap();
    let by = [0, 1].map(|i| after[0][i] - before[0][i]);
    assert!(
        (by[0] + 0.1).abs() < 1e-3 && (by[1] - 0.1).abs() < 1e-3,
        "{by:?}"
    );
    // The frame turned clockwise sees the picture turned back.
    let handles = e.pose_handles().unwrap();
    let [x, y] = handles.pivot;
    let arm = [(handles.turn[0] - x) * e.aspect(), handles.turn[1] - y];
    let quarter = [x - arm[1] / e.aspect(), y + arm[0]];
    drag(&mut e, &[handles.turn, quarter]);
    let turned = e.pose_now(Lane::Camera).rotation;
    assert!((turned + 90.0).abs() < 0.5, "{turned}");
    // At the beginning the whole picture is seen, and with another tool there is nothing to take hold of.
    e.moment = None;
    assert!(e.pose_handles().is_none() && e.camera_frame().is_none());
    e.moment = Some(1.0);
    e.set_tool(Tool::Move);
    assert!(e.pose_handles().is_none() && e.camera_frame().is_some());
    // It does not show less than the picture.
    e.set_pose(Lane::Camera, PosePart::Scale, 0.3);
    assert_eq!(e.pose_now(Lane::Camera).scale, 1.0);
}

#[test]
fn what_the_camera_does_is_kept_and_timed_as_a_whole() {
    let mut e = camera();
    e.set_background(Some(Trajectory::line([0.5, 0.5], [0.4, 0.5])));
    e.take_zoom(Zoom::In);
    let first = e.pose_now(Lane::Camera).scale;
    e.take_zoom(Zoom::In);
    assert!(e.pose_now(Lane::Camera).scale > first);
    e.take_zoom(Zoom::InAndOut);
    assert_eq!(e.keys(Lane::Camera), [0.5, 1.0]);
    assert_eq!(e.scene().view.at(0.5).scale, first);
    assert!(e.scene().background.is_some());
    // Its bar takes path and views along.
    e.retime(Lane::Camera, End::End, -0.5);
    assert_eq!(e.keys(Lane::Camera), [0.25, 0.5]);
    assert_eq!(e.scene().background.as_ref().unwrap().span(), [0.0, 0.5]);
    e.begin_key(Lane::Camera, 0);
    e.drag_key(0.1);
    assert_eq!(e.keys(Lane::Camera)[0], 0.35);
    assert_eq!(e.view().poses[0].t, 0.35);
    e.release([0.0; 2]);
    e.delete_key(Lane::Camera, 1);
    assert_eq!(e.keys(Lane::Camera), [0.35]);
    // To what is selected.
    e.set_tool(Tool::Move);
    click(&mut e, 0.3, 0.5);
    e.take_zoom(Zoom::Roll);
    let about = e.scene().view.about;
    assert!(e.scene().entities[0].mask.contains(about[0], about[1]));
}

#[test]
fn a_turn_begins_with_the_video_until_its_bar_says_otherwise() {
    let mut e = thing();
    e.moment = Some(1.0);
    e.set_pose(0, PosePart::Turn, 60.0);
    let lane = Lane::Entity(0);
    assert_eq!(e.span(lane), [0.0, 1.0]);
    e.retime(lane, End::Start, 0.5);
    assert_eq!(e.keys(0), [0.5, 1.0]);
    assert_eq!(e.span(lane), [0.5, 1.0]);
    assert!(Pose::at(poses(&e), 0.45).rotation.abs() < 1e-3);
    assert_eq!(Pose::at(poses(&e), 1.0).rotation, 60.0);
    // And back: it stays as it is until then.
    e.retime(lane, End::Start, -0.25);
    assert_eq!(e.keys(0), [0.25, 1.0]);
}
