//! What makes masks of clicks: the model's own click head, SAM's weights that the person opened, or the chosen server's.

use super::messages::{Kind, amount, say, sentence};
use super::remote::{Server, Trouble};
use super::{App, Model, act, dom};
use crate::web::editor::SegmentRequest;
use crate::web::protocol::{Pixels, ToWorker};
use dragentity_core::scene::{Mask, Picture};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;
use web_sys::{AbortController, File};

/// What the page knows of it.
#[derive(Default)]
pub struct Segmenter {
    /// The weights that were opened: a worker that is started anew needs them again.
    file: Option<File>,
    /// What the worker calls them, once it has them.
    name: Option<String>,
    /// What is being done, for the person to read, while it can be stopped.
    doing: Option<String>,
    /// Stops the request that a server has.
    abort: Option<AbortController>,
}

impl Segmenter {
    /// Whether something is under way that takes long enough to be stopped.
    pub fn is_busy(&self) -> bool {
        self.doing.is_some()
    }

    /// What is under way.
    pub fn doing(&self) -> Option<&str> {
        self.doing.as_deref()
    }
}

impl App {
    /// Has masks made with the weights in a file, or with the model's click head again.
    pub fn take_segmenter(&mut self, file: Option<File>) {
        self.segmenter.name = None;
        self.segmenter.doing = file.as_ref().map(|file| format!("Opening {}", file.name()));
        self.segmenter.file = file;
        self.send_segmenter(true);
        self.show_segmenter();
        self.show_status();
    }

    /// Tells the worker, which knows of none when it has just been started.
    pub fn send_segmenter(&mut self, anew: bool) {
        if !anew && self.segmenter.name.is_none() {
            // Opening it is what the worker before did not survive, or was stopped at.
            self.segmenter.file = None;
        }
        if !anew && self.segmenter.abort.is_none() {
            self.segmenter.doing = None;
        }
        let file = self.segmenter.file.clone();
        if anew || file.is_some() {
            let file = file.map_or(JsValue::NULL, JsValue::from);
            self.link.send(&ToWorker::Segmenter(file));
        }
    }

    /// The worker has taken it, or says why not.
    pub fn segmenter_taken(&mut self, name: Option<String>, error: Option<String>) {
        self.segmenter.doing = None;
        if let Some(error) = error {
            self.segmenter.file = None;
            say(Kind::Error, &sentence(&error));
        }
        self.segmenter.name = name;
        self.show_segmenter();
        self.show_status();
    }

    /// Has a mask made.
    pub fn segment(&mut self, request: SegmentRequest) {
        let there = self.compute_targets.for_clicks().map(|(server, _)| server);
        if let Some(server) = there {
            self.segment_there(request, server);
        } else if self.model == Model::Missing {
            self.editor.answer(request.number, None);
            say(
                Kind::Error,
                "The model that finds things is not loaded, so a click cannot. Paint over the thing with the brush instead.",
            );
        } else {
            self.link.send(&ToWorker::Segment {
                number: request.number,
                clicks: request.clicks,
                previous: request.previous.as_ref().map(Pixels::of_mask),
            });
        }
        self.update();
    }

    fn segment_there(&mut self, request: SegmentRequest, server: Server) {
        let Ok(abort) = AbortController::new() else {
            return;
        };
        // Only the last click matters.
        if let Some(before) = self.segmenter.abort.replace(abort.clone()) {
            before.abort();
        }
        self.segmenter.doing = Some("The server looks at the picture".into());
        let picture = self.editor.scene().picture.clone();
        spawn_local(async move {
            let number = request.number;
            let mask = ask(&server, &picture, &request, &abort).await;
            let given_up = abort.signal().aborted();
            act(move |app| {
                if given_up {
                    return;
                }
                app.segmenter.abort = None;
                app.segmenter.doing = None;
                match mask {
                    Ok(mask) => app.done(|e| e.answer(number, Some(mask))),
                    Err(why) => {
                        say(Kind::Error, &sentence(&why));
                        app.done(|e| e.answer(number, None));
                    }
                }
                app.draw_soon();
            });
        });
    }

    /// A picture is being looked at.
    pub fn looking(&mut self, number: u64, done: u32, total: u32) {
        if self.editor.pending().is_some_and(|p| p.number == number) {
            self.segmenter.doing = Some(format!("Looking at the picture: {done} of {total}"));
            self.show_status();
        }
    }

    /// A mask has come, or will not.
    pub fn looked(&mut self) {
        self.segmenter.doing = None;
    }

    /// Weights are being read.
    pub fn segmenter_loading(&mut self, part: &str, done: u64, total: u64) {
        if self.segmenter.doing.is_some() {
            self.segmenter.doing = Some(format!("Loading {part}: {}", amount(done, total)));
        }
    }

    /// The person does not want to wait for the mask.
    pub fn cancel_click(&mut self) {
        self.segmenter.doing = None;
        let opening = self.segmenter.file.is_some() && self.segmenter.name.is_none();
        match self.segmenter.abort.take() {
            Some(abort) => abort.abort(),
            None if opening => self.restart_worker(),
            None => self.link.send(&ToWorker::Cancel),
        }
        if let Some(number) = self.editor.pending().map(|p| p.number) {
            self.done(|e| e.answer(number, None));
        }
        self.show_segmenter();
        self.show_status();
    }

    /// What makes masks, in the settings.
    pub fn show_segmenter(&self) {
        let text = match (self.compute_targets.for_clicks(), &self.segmenter.name) {
            (Some((_, name)), _) => format!("{name}, on the server"),
            (None, Some(name)) => name.clone(),
            (None, None) if self.segmenter.file.is_some() => "opening…".into(),
            (None, None) => "the model’s own click head".into(),
        };
        dom::set_text(&dom::by_id("segmenter-name"), &text);
        dom::show(
            &dom::by_id("close-segmenter"),
            self.segmenter.file.is_some(),
        );
    }
}

/// The mask, or why there is none.
async fn ask(
    server: &Server,
    picture: &Picture,
    request: &SegmentRequest,
    abort: &AbortController,
) -> Result<Mask, String> {
    let picture = picture.to_png().map_err(|e| e.to_string())?;
    let previous = request.previous.as_ref().map(Mask::to_png).transpose();
    let previous = previous.map_err(|e| e.to_string())?;
    server
        .mask(
            &picture,
            &request.clicks,
            previous.as_deref(),
            &abort.signal(),
        )
        .await
        .map_err(|trouble| match trouble {
            Trouble::Refused { why, .. } => format!("the server made no mask: {why}"),
            Trouble::Away(why) => format!(
                "the server does not answer ({}); choose This browser under Where to run, or click again",
                why.trim().trim_end_matches('.')
            ),
        })
}
