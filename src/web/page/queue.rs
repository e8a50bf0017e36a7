//! Scenes that wait for the job that runs: each as it was when somebody asked for it. They are all of the picture that is open: with another
//! one nobody waits for them any more.

use super::messages::{Kind, say};
use super::remote::Server;
use super::{App, act, dom};
use dragentity_core::scene::{Scene, Settings};
use dragentity_pipeline::page::Maker;
use std::collections::VecDeque;
use web_sys::{Element, HtmlElement, MouseEvent};

/// Most scenes that wait.
const MOST: usize = 8;

/// What a job is to be of.
#[derive(Clone)]
pub struct Wanted {
    /// Which it is, since the page was opened.
    number: u64,
    /// The scene, with its picture.
    pub scene: Scene,
    /// How to make its video.
    pub settings: Settings,
    /// The scene's revision.
    pub revision: u64,
    /// Who makes it where it is made here.
    pub maker: Maker,
    /// What the opened model makes it with.
    pub opened: Option<Settings>,
    /// The server that makes it.
    pub server: Option<Server>,
}

/// Who waits, the first to be next.
#[derive(Default)]
pub struct Queue {
    waiting: VecDeque<Wanted>,
    asked: u64,
}

impl App {
    /// The scene as it is now.
    pub(super) fn wanted(&mut self) -> Wanted {
        self.queue.asked += 1;
        let folder = self.compute_targets.is_folder();
        let opened = folder.then(|| self.model_settings(&self.editor.settings));
        let opened = opened.flatten();
        Wanted {
            number: self.queue.asked,
            scene: self.editor.scene().clone(),
            settings: self.editor.settings.clone(),
            revision: self.editor.revision(),
            maker: match &opened {
                Some(_) => Maker::Opened,
                None if self.by_model => Maker::Model,
                None => Maker::AtOnce,
            },
            opened,
            server: self.compute_targets.for_jobs(),
        }
    }

    /// Has a scene wait for its turn; `running` is what the job that runs is of.
    pub(super) fn queue_up(&mut self, wanted: Wanted, running: (u64, &Settings)) {
        let last = self.queue.waiting.back();
        let last = last.map_or(running, |last| (last.revision, &last.settings));
        if last == (wanted.revision, &wanted.settings) {
            return say(
                Kind::Note,
                "This is being made already. Change something, and it can be made after that.",
            );
        }
        if self.queue.waiting.len() >= MOST {
            return say(Kind::Note, "Eight scenes wait already.");
        }
        self.queue.waiting.push_back(wanted);
        self.show_queue();
    }

    /// Begins with the scene that has waited longest, once nothing runs.
    pub(super) fn begin_next_soon(&self) {
        if self.queue.waiting.is_empty() {
            return;
        }
        dom::after(0, || {
            act(|app| {
                if app.job.is_none()
                    && let Some(next) = app.queue.waiting.pop_front()
                {
                    app.show_queue();
                    app.begin(next);
                }
            });
        });
    }

    /// Nobody waits any more.
    pub(super) fn empty_queue(&mut self) {
        self.queue.waiting.clear();
        self.show_queue();
    }

    /// The list of those that wait.
    fn show_queue(&self) {
        let list: Element = dom::by_id("queue");
        list.set_text_content(None);
        for wanted in &self.queue.waiting {
            let moving = wanted.scene.entities.iter().filter(|e| e.has_motion());
            let (number, moving, frames) = (wanted.number, moving.count(), wanted.settings.frames);
            let row: Element = dom::create("li", "");
            let words: Element = dom::create("span", "");
            dom::set_text(
                &words,
                &format!("Scene {number}: what moves: {moving}, frames: {frames}"),
            );
            let delete: HtmlElement = dom::create("button", "icon");
            dom::set(&delete, "type", "button");
            dom::set(&delete, "data-testid", "queue-delete");
            dom::set(
                &delete,
                "aria-label",
                &format!("Do not make scene {number}"),
            );
            dom::append(&delete, &dom::icon("close"));
            dom::listen(&delete, "click", move |_: MouseEvent| {
                act(move |app| {
                    app.queue.waiting.retain(|w| w.number != number);
                    app.show_queue();
                    // The button that had the focus is gone.
                    let _ = dom::by_id::<HtmlElement>("queue-add").focus();
                });
            });
            dom::append(&row, &words);
            dom::append(&row, &delete);
            dom::append(&list, &row);
        }
        dom::show(&dom::by_id("queue-box"), !self.queue.waiting.is_empty());
    }
}
