//! What makes masks of clicks: MobileSAM in the page's worker, SAM's weights that the person opened, or the chosen server's.

use super::messages::{Kind, amount, say, sentence};
use super::remote::{Server, Trouble};
use super::{App, act, dom};
use crate::web::editor::SegmentRequest;
use crate::web::protocol::{ClickData, ToWorker};
use dragentity_core::JobEvent;
use dragentity_core::scene::{Mask, Picture};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;
use web_sys::{AbortController, File};

/// How long the pointer rests before the mask under it is asked for, in milliseconds.
const REST: i32 = 80;

/// What makes masks in this browser.
#[derive(Default, PartialEq)]
enum Maker {
    /// Its weights are being read.
    #[default]
    Loading,
    /// Weights of this name.
    Ready(String),
    /// Nothing does.
    Missing,
}

/// What the page knows of it.
#[derive(Default)]
pub struct Segmenter {
    maker: Maker,
    /// The weights that were opened: a worker that is started anew needs them again.
    file: Option<File>,
    /// Whether the weights that were opened are being read, which can be stopped.
    opening: bool,
    /// Whether the worker knows the picture.
    looked: bool,
    /// What is being done, for the person to read.
    doing: Option<String>,
    /// Stops the request that a server has.
    abort: Option<AbortController>,
    /// Counts the pointer's moves: a rest is when there was none for a while.
    moves: u64,
}

impl Segmenter {
    /// Whether a click can be answered, at once or soon.
    pub fn is_ready(&self) -> bool {
        matches!(self.maker, Maker::Ready(_))
    }

    /// Whether weights are being read.
    pub fn is_loading(&self) -> bool {
        self.maker == Maker::Loading
    }

    /// Whether the worker knows the picture.
    pub fn has_looked(&self) -> bool {
        self.looked
    }

    /// Whether weights that were opened are being read.
    pub fn is_opening(&self) -> bool {
        self.opening
    }

    /// What is under way.
    pub fn doing(&self) -> Option<&str> {
        self.doing.as_deref()
    }

    /// A worker is started that knows nothing.
    pub fn restart(&mut self) {
        if self.opening {
            // What the worker before did not survive, or was stopped at.
            self.file = None;
        }
        self.maker = Maker::Loading;
        self.opening = false;
        self.looked = false;
        if self.abort.is_none() {
            self.doing = None;
        }
    }

    /// The worker is gone.
    pub fn lose(&mut self) {
        self.restart();
        self.maker = Maker::Missing;
    }

    /// The worker is sent another picture.
    pub fn forget_picture(&mut self) {
        self.looked = false;
    }
}

impl App {
    /// Has masks made with the weights in a file, or with the page's own again.
    pub fn take_segmenter(&mut self, file: Option<File>) {
        self.segmenter.maker = Maker::Loading;
        self.segmenter.looked = false;
        self.segmenter.opening = file.is_some();
        self.segmenter.doing = file.as_ref().map(|file| format!("Opening {}", file.name()));
        let given = file.clone().map_or(JsValue::NULL, JsValue::from);
        self.segmenter.file = file;
        self.link.send(&ToWorker::Segmenter(given));
        self.show_segmenter();
        self.show_status();
    }

    /// Tells a worker that has just been started of the weights that were opened.
    pub fn send_segmenter(&mut self) {
        if let Some(file) = self.segmenter.file.clone() {
            self.take_segmenter(Some(file));
        }
    }

    /// The worker has taken it, or says why not.
    pub fn segmenter_taken(&mut self, name: Option<String>, error: Option<String>) {
        if let Some(error) = error {
            say(Kind::Error, &sentence(&error));
            if self.segmenter.file.is_some() {
                // The page's own is there again in a moment.
                return self.take_segmenter(None);
            }
        }
        self.segmenter.opening = false;
        self.segmenter.doing = None;
        self.segmenter.maker = match name {
            Some(name) => Maker::Ready(name),
            None => {
                if let Some(number) = self.editor.pending().map(|p| p.number) {
                    self.editor.answer(number, None);
                }
                Maker::Missing
            }
        };
        self.show_segmenter();
        self.update();
    }

    /// Has a mask made.
    pub fn segment(&mut self, request: SegmentRequest) {
        let there = self.compute_targets.for_clicks().map(|(server, _)| server);
        if let Some(server) = there {
            self.segment_there(request, server);
        } else if self.segmenter.maker == Maker::Missing {
            self.editor.answer(request.number, None);
            say(
                Kind::Error,
                "What finds things is not loaded, so a click cannot. Paint over the thing with the brush, or reload the page.",
            );
        } else {
            let number = request.number;
            let click = ClickData::new(&request);
            self.link.send(&ToWorker::Segment { number, click });
        }
        self.update();
    }

    /// The pointer has moved over the stage, or left it.
    pub fn pointer_moved(&mut self, at: Option<[f32; 2]>) {
        self.done(|e| e.wander(at));
        self.segmenter.moves += 1;
        let moves = self.segmenter.moves;
        // Neither a finger nor a server is asked beforehand; and a job needs the worker for itself.
        let quiet = self.touch || self.job.is_some() || self.compute_targets.for_clicks().is_some();
        let Some(at) = at.filter(|_| !quiet && self.segmenter.looked) else {
            return;
        };
        dom::after(REST, move || {
            act(move |app| {
                if app.segmenter.moves == moves {
                    app.done(|e| e.rest(at));
                }
            });
        });
    }

    /// Asks for the mask under the pointer.
    pub fn suggest(&mut self, number: u64, at: [f32; 2]) {
        self.link.send(&ToWorker::Suggest { number, at });
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

    /// What is told while a picture is being looked at.
    pub fn picture_event(&mut self, event: &JobEvent) {
        if let JobEvent::Step { step, steps } = event {
            let percent = 100 * step / (*steps).max(1);
            self.segmenter.doing = Some(format!("Looking at the picture: {percent} %"));
            self.show_status();
        }
    }

    /// The worker knows the picture.
    pub fn looked(&mut self) {
        self.segmenter.looked = true;
        if self.segmenter.abort.is_none() {
            self.segmenter.doing = None;
        }
        self.show_status();
    }

    /// Weights are being read.
    pub fn segmenter_loading(&mut self, part: &str, done: u64, total: u64) {
        self.segmenter.doing = Some(format!("Loading {part}: {}", amount(done, total)));
        self.show_status();
    }

    /// The person does not want to wait for the mask.
    pub fn cancel_click(&mut self) {
        match self.segmenter.abort.take() {
            Some(abort) => {
                self.segmenter.doing = None;
                abort.abort();
            }
            None if self.segmenter.opening => self.restart_worker(),
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
        let text = match (self.compute_targets.for_clicks(), &self.segmenter.maker) {
            (Some((_, name)), _) => format!("{name}, on the server"),
            (None, Maker::Ready(name)) => name.clone(),
            (None, Maker::Loading) => "what is being loaded…".into(),
            (None, Maker::Missing) => "nothing: it could not be loaded".into(),
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
            request,
            previous.as_deref(),
            &abort.signal(),
        )
        .await
        .map_err(|trouble| match trouble {
            Trouble::Refused { why, .. } => format!("the server made no mask: {why}"),
            Trouble::Away(why) => format!(
                "the server does not answer ({}); choose At once under Where to run, or click again",
                why.trim().trim_end_matches('.')
            ),
        })
}
