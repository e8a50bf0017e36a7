//! A longer video: the scene goes on from the last frame, and what is made of it then is put behind what there is.

use super::messages::{Kind, say};
use super::{App, dom};
use dragentity_compositor::after::after;
use dragentity_core::Video;
use dragentity_core::scene::picture::resize_rgb;
use dragentity_core::scene::{Picture, Scene};
use dragentity_media::view_size;
use web_sys::HtmlButtonElement;

/// Most bytes of frames that are put together.
const MOST: usize = 800 << 20;

impl App {
    /// Opens the last frame as the picture, with the things where they have gone.
    pub fn extend(&mut self) {
        let Some(video) = self.player.video().cloned().filter(|_| self.job.is_none()) else {
            return;
        };
        let Some(last) = video.frames.last() else {
            return;
        };
        let of = (self.video_of.width, self.video_of.height);
        let size = (video.width, video.height);
        let (width, height) = view_size(size, of, None);
        let rgb = resize_rgb(last, size, (width, height));
        let Ok(picture) = Picture::from_rgb(width, height, rgb) else {
            return;
        };
        let mut scene = self.player.scene().clone();
        scene.picture = std::mem::replace(&mut self.video_of, picture.clone());
        let frames = video.frames.len() - self.player.before() as usize;
        let entities = after(&scene, frames);
        self.goes_on = Some((picture.clone(), video));
        self.editor.set_scene(Scene {
            picture,
            entities,
            order: scene.order,
            ..Scene::default()
        });
        self.sample = None;
        self.picture_changed();
        self.keep_picture();
        self.update();
        say(
            Kind::Note,
            "This is the last frame. Drag things on from here and generate: what is new is put behind the video. Undo goes back.",
        );
    }

    /// The video with what it goes on from before it, and how many frames that has before this one's first.
    pub(super) fn joined(&self, video: Video) -> (Video, u32) {
        let goes_on = self.goes_on.as_ref();
        let Some((_, first)) = goes_on.filter(|(picture, _)| *picture == self.video_of) else {
            return (video, 0);
        };
        let alike = |a: &Video| (a.width, a.height, a.fps);
        let bytes = |a: &Video| a.frames.iter().map(Vec::len).sum::<usize>();
        if alike(first) != alike(&video) {
            say(
                Kind::Note,
                "The new part has another size or another number of frames a second: it is a video of its own.",
            );
            return (video, 0);
        }
        if bytes(first) + bytes(&video) > MOST {
            say(
                Kind::Note,
                "The whole would be too long for this page: the new part is a video of its own.",
            );
            return (video, 0);
        }
        // The last frame of the one is the first of the other.
        let before = first.frames.len() as u32 - 1;
        let mut whole = Video::clone(first);
        whole.frames.pop();
        whole.frames.extend(video.frames);
        (whole, before)
    }

    /// What can be done with the video that is shown.
    pub(super) fn show_extend(&self) {
        let idle = self.player.video().is_some() && self.job.is_none();
        dom::by_id::<HtmlButtonElement>("extend").set_disabled(!idle);
        let smoother = idle && self.can_smooth();
        dom::by_id::<HtmlButtonElement>("smooth").set_disabled(!smoother);
    }

    /// Shows the video on the whole screen, or no longer.
    pub fn full_screen(&self) {
        let document = dom::document();
        match document.fullscreen_element() {
            Some(_) => document.exit_fullscreen(),
            None if self.player.frame().request_fullscreen().is_err() => say(
                Kind::Note,
                "The browser does not let the page fill the screen.",
            ),
            None => {}
        }
    }
}
