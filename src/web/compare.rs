//! The blind comparison, `compare.html`: shows results without saying whose they are, and keeps what is picked in the
//! browser. What is compared and what answers add up to is in [`dragentity_core::study`].

use super::dom;
use super::messages::{Kind, say, sentence};
use dragentity_core::study::{Answers, Question, Shown, Study, Tally};
use std::cell::RefCell;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Element, File, FileList, HtmlButtonElement, HtmlElement, HtmlInputElement, HtmlMediaElement,
    KeyboardEvent, MouseEvent, Window,
};

thread_local! {
    static COMPARE: RefCell<Option<Compare>> = const { RefCell::new(None) };
}

/// Whether the window shows the comparison's page.
pub fn is_in(window: &Window) -> bool {
    let body = window.document().and_then(|document| document.body());
    body.is_some_and(|body| body.dataset().get("page").as_deref() == Some("compare"))
}

/// Starts it.
pub fn start() {
    std::panic::set_hook(Box::new(|info| {
        console_error_panic_hook::hook(info);
        say(
            Kind::Error,
            "The page has crashed. Reload it and open the folder again: your answers are kept.",
        );
    }));
    let input: HtmlInputElement = dom::by_id("folder");
    let picker = input.clone();
    dom::listen(&dom::by_id("open-folder"), "click", move |_: MouseEvent| {
        picker.click();
    });
    let chosen = input.clone();
    dom::listen(&input, "change", move |_: web_sys::Event| {
        if let Some(files) = chosen.files() {
            open(&files);
        }
        // The same folder may be chosen again.
        chosen.set_value("");
    });
    on_click("next", |compare| compare.go(1));
    on_click("back", |compare| compare.go(-1));
    on_click("together", |_| together());
    on_click("finish", Compare::finish);
    on_click("go-on", Compare::show_trial);
    on_click("save", |compare| {
        compare.save();
    });
    on_click("another", Compare::another);
    dom::listen(&dom::document(), "keydown", |event: KeyboardEvent| {
        if event.ctrl_key() || event.meta_key() || event.alt_key() {
            return;
        }
        if let Some(place) = event
            .key()
            .parse::<usize>()
            .ok()
            .and_then(|n| n.checked_sub(1))
        {
            with(|compare| compare.pick_next(place));
        }
    });
    let ready: HtmlButtonElement = dom::by_id("open-folder");
    ready.set_disabled(false);
}

/// Does it to the comparison, if one is open.
fn with(f: impl FnOnce(&mut Compare)) {
    COMPARE.with_borrow_mut(|compare| {
        if let Some(compare) = compare {
            f(compare);
        }
    });
}

fn on_click(id: &str, mut f: impl FnMut(&mut Compare) + 'static) {
    dom::listen(&dom::by_id(id), "click", move |_: MouseEvent| with(&mut f));
}

/// A comparison that somebody is at.
struct Compare {
    study: Study,
    files: Vec<File>,
    shown: Vec<Shown>,
    answers: Answers,
    /// Index among `shown`.
    at: usize,
    /// Of the files on view.
    urls: Vec<String>,
}

/// Opens a folder's files.
fn open(list: &FileList) {
    let files: Vec<File> = (0..list.length()).filter_map(|i| list.get(i)).collect();
    let paths: Vec<String> = files.iter().map(path).collect();
    let study = match Study::of_files(paths.iter().map(String::as_str)) {
        Ok(study) => study,
        Err(error) => return say(Kind::Error, &sentence(&error.to_string())),
    };
    if !study.incomplete.is_empty() {
        say(
            Kind::Note,
            &format!(
                "Left out, because not every method has it: {}.",
                study.incomplete.join(", ")
            ),
        );
    }
    let answers = kept(&study).unwrap_or_else(|| study.begin(random()));
    let mut compare = Compare {
        shown: study.order(answers.seed),
        study,
        files,
        answers,
        at: 0,
        urls: Vec::new(),
    };
    let first = compare
        .shown
        .iter()
        .position(|one| !compare.is_complete(one));
    match first {
        Some(first) => {
            if first > 0 {
                say(Kind::Note, "Going on where you stopped.");
            }
            compare.at = first;
            compare.show_trial();
        }
        None => compare.finish(),
    }
    COMPARE.set(Some(compare));
}

/// A file's path within the folder that was chosen, the folder itself included.
fn path(file: &File) -> String {
    js_sys::Reflect::get(file, &JsValue::from_str("webkitRelativePath"))
        .ok()
        .and_then(|path| path.as_string())
        .unwrap_or_default()
}

/// A seed that a JSON number holds.
fn random() -> u64 {
    (js_sys::Math::random() * f64::from(u32::MAX)) as u64
}

fn slot(study: &Study) -> String {
    format!("dragentity-compare {}", study.methods.join("/"))
}

/// Answers to the same study that were kept.
fn kept(study: &Study) -> Option<Answers> {
    let storage = dom::window().local_storage().ok()??;
    let text = storage.get_item(&slot(study)).ok()??;
    let answers = Answers::parse(&text, "kept").ok()?;
    study.owns(&answers).then_some(answers)
}

impl Compare {
    fn is_complete(&self, shown: &Shown) -> bool {
        self.answers.complete(&self.study.trials[shown.trial].name)
    }

    /// Keeps the answers in the browser.
    fn keep(&self) {
        let kept = dom::window()
            .local_storage()
            .ok()
            .flatten()
            .zip(self.answers.to_json().ok())
            .is_some_and(|(storage, text)| storage.set_item(&slot(&self.study), &text).is_ok());
        if !kept {
            say(
                Kind::Note,
                "This browser keeps no answers: save them before you leave the page.",
            );
        }
    }

    fn go(&mut self, by: isize) {
        match self.at.checked_add_signed(by) {
            Some(at) if at < self.shown.len() => {
                self.at = at;
                self.show_trial();
            }
            Some(_) => self.finish(),
            None => {}
        }
    }

    /// An address for a file that is on view until the next trial.
    fn url(&mut self, file: usize) -> Option<String> {
        let url = web_sys::Url::create_object_url_with_blob(&self.files[file]).ok()?;
        self.urls.push(url.clone());
        Some(url)
    }

    fn release(&mut self) {
        for url in self.urls.drain(..) {
            let _ = web_sys::Url::revoke_object_url(&url);
        }
    }

    fn show_trial(&mut self) {
        self.release();
        let shown = self.shown[self.at].clone();
        let trial = self.study.trials[shown.trial].clone();
        dom::set_text(
            &dom::by_id("where"),
            &format!("{} of {}", self.at + 1, self.shown.len()),
        );
        let given: HtmlElement = dom::by_id("given");
        dom::show(&given, trial.given.is_some());
        let place: Element = dom::by_id("given-picture");
        place.set_text_content(None);
        if let Some(url) = trial.given.and_then(|file| self.url(file)) {
            dom::append(
                &place,
                &media(
                    &self.files[trial.given.unwrap_or_default()],
                    &url,
                    "What was asked for",
                ),
            );
        }
        let results: Element = dom::by_id("results");
        results.set_text_content(None);
        for (place, &method) in shown.methods.iter().enumerate() {
            let file = trial.results[method];
            let figure: HtmlElement = dom::create("figure", "result");
            dom::set(&figure, "data-testid", "result");
            if let Some(url) = self.url(file) {
                let label = format!("Result {}", letter(place));
                dom::append(&figure, &media(&self.files[file], &url, &label));
            }
            let caption: HtmlElement = dom::create("figcaption", "");
            caption.set_text_content(Some(&letter(place)));
            dom::append(&figure, &caption);
            dom::append(&results, &figure);
        }
        self.show_questions();
        for (id, shown) in [("begin", false), ("trial", true), ("end", false)] {
            dom::show(&dom::by_id(id), shown);
        }
        let back: HtmlButtonElement = dom::by_id("back");
        back.set_disabled(self.at == 0);
        dom::show(&dom::by_id("save"), true);
        dom::by_id::<HtmlElement>("where").focus().ok();
    }

    /// The questions, and what was picked so far.
    fn show_questions(&self) {
        let place: Element = dom::by_id("questions");
        place.set_text_content(None);
        let shown = &self.shown[self.at];
        let trial = &self.study.trials[shown.trial].name;
        for (at, question) in Question::ALL.into_iter().enumerate() {
            let group: HtmlElement = dom::create("fieldset", "question");
            let legend: HtmlElement = dom::create("legend", "");
            legend.set_text_content(Some(question.asks()));
            dom::append(&group, &legend);
            let picked = self.answers.picked(trial, question);
            for (place, &method) in shown.methods.iter().enumerate() {
                let label: HtmlElement = dom::create("label", "pick");
                let input: HtmlInputElement = dom::create("input", "");
                input.set_type("radio");
                input.set_name(&format!("question-{at}"));
                dom::set(&input, "data-testid", &format!("pick-{at}-{place}"));
                input.set_checked(picked == Some(&self.study.methods[method]));
                dom::listen(&input, "change", move |_: web_sys::Event| {
                    with(|compare| compare.pick(question, place));
                });
                let text: HtmlElement = dom::create("span", "");
                text.set_text_content(Some(&letter(place)));
                dom::append(&label, &input);
                dom::append(&label, &text);
                dom::append(&group, &label);
            }
            dom::append(&place, &group);
        }
        self.show_next();
    }

    /// Whether there is more to answer here.
    fn show_next(&self) {
        let complete = self.is_complete(&self.shown[self.at]);
        let last = self.at + 1 == self.shown.len();
        let text = match (complete, last) {
            (_, true) => "Finish",
            (true, false) => "Next",
            (false, false) => "Skip",
        };
        dom::set_text(&dom::by_id("next"), text);
        let class = if complete { "primary" } else { "quiet" };
        dom::set(&dom::by_id("next"), "class", class);
    }

    fn pick(&mut self, question: Question, place: usize) {
        let shown = &self.shown[self.at];
        let Some(&method) = shown.methods.get(place) else {
            return;
        };
        let trial = &self.study.trials[shown.trial].name;
        self.answers
            .pick(trial, question, &self.study.methods[method]);
        self.keep();
        self.show_next();
    }

    /// Answers the first open question of the trial on view.
    fn pick_next(&mut self, place: usize) {
        if dom::by_id::<HtmlElement>("trial").hidden() {
            return;
        }
        let trial = &self.study.trials[self.shown[self.at].trial].name;
        let mut open = Question::ALL.into_iter();
        if let Some(question) = open.find(|&q| self.answers.picked(trial, q).is_none()) {
            self.pick(question, place);
            self.show_questions();
        }
    }

    /// Says whose results were picked.
    fn finish(&mut self) {
        self.release();
        let table: Element = dom::by_id("tally");
        table.set_text_content(None);
        if let Ok(tally) = Tally::of(std::slice::from_ref(&self.answers)) {
            let row = |cells: Vec<String>, tag: &str| {
                let line: Element = dom::create("tr", "");
                for (at, text) in cells.into_iter().enumerate() {
                    let cell: Element = dom::create(if at == 0 { "th" } else { tag }, "");
                    dom::set_text(&cell, &text);
                    dom::append(&line, &cell);
                }
                dom::append(&table, &line);
            };
            let titles = Question::ALL.map(|q| q.title().to_owned());
            row([vec!["Picked".to_owned()], titles.to_vec()].concat(), "th");
            for share in &tally.shares {
                let percents = (0..Question::ALL.len()).map(|at| match tally.percent(share, at) {
                    Some(percent) => format!("{percent:.0} %"),
                    None => "-".into(),
                });
                row(
                    std::iter::once(share.method.clone())
                        .chain(percents)
                        .collect(),
                    "td",
                );
            }
        }
        let answered = self
            .shown
            .iter()
            .filter(|one| self.is_complete(one))
            .count();
        let left = self.shown.len() - answered;
        dom::set_text(
            &dom::by_id("end-text"),
            &match left {
                0 => "All are answered.".to_owned(),
                _ => format!("{answered} of {} are answered.", self.shown.len()),
            },
        );
        dom::show(&dom::by_id("go-on"), left > 0);
        for (id, shown) in [
            ("begin", false),
            ("trial", false),
            ("end", true),
            ("save", true),
        ] {
            dom::show(&dom::by_id(id), shown);
        }
        if left > 0 {
            let open = self.shown.iter().position(|one| !self.is_complete(one));
            self.at = open.unwrap_or(self.at);
        }
        dom::by_id::<HtmlElement>("end-title").focus().ok();
    }

    /// Offers the answers as a file; whether that worked.
    fn save(&self) -> bool {
        let name = format!("answers-{}.json", self.answers.seed);
        let saved = self
            .answers
            .to_json()
            .map_err(|e| e.to_string())
            .and_then(|text| dom::offer(text.as_bytes(), &name, "application/json"));
        match &saved {
            Ok(()) => say(Kind::Done, &format!("Saved as {name}.")),
            Err(reason) => say(
                Kind::Error,
                &sentence(&format!("the answers were not saved: {reason}")),
            ),
        }
        saved.is_ok()
    }

    /// The next person begins, who sees another order. What was answered before is saved first: the browser keeps one
    /// person's answers.
    fn another(&mut self) {
        if !self.save() {
            return;
        }
        self.answers = self.study.begin(random());
        self.shown = self.study.order(self.answers.seed);
        self.at = 0;
        self.keep();
        self.show_trial();
    }
}

/// What stands under a result.
fn letter(place: usize) -> String {
    char::from(b'A' + place as u8).to_string()
}

/// An element that plays a file, again and again and without sound.
fn media(file: &File, url: &str, label: &str) -> Element {
    let name = file.name().to_ascii_lowercase();
    let element: Element = if name.ends_with(".mp4") || name.ends_with(".webm") {
        let video: HtmlMediaElement = dom::create("video", "");
        video.set_muted(true);
        video.set_loop(true);
        video.set_autoplay(true);
        dom::set(&video, "playsinline", "");
        dom::set(&video, "aria-label", label);
        video.unchecked_into()
    } else {
        let image: Element = dom::create("img", "");
        dom::set(&image, "alt", label);
        image
    };
    let label = label.to_owned();
    dom::listen(&element, "error", move |_: web_sys::Event| {
        say(
            Kind::Error,
            &format!(
                "{label} cannot be played by this browser. Convert the files to MP4 (H.264), WebP or GIF."
            ),
        );
    });
    dom::set(&element, "src", url);
    element
}

/// Plays all videos on view from their beginning, at once; pictures that move begin anew when their address is set.
fn together() {
    let Ok(all) = dom::document().query_selector_all("#trial video, #trial img") else {
        return;
    };
    for i in 0..all.length() {
        let Some(element) = all.item(i) else { continue };
        match element.dyn_into::<HtmlMediaElement>() {
            Ok(video) => {
                video.set_current_time(0.0);
                if let Ok(playing) = video.play() {
                    // A video that cannot be played has said so.
                    wasm_bindgen_futures::spawn_local(async move {
                        drop(JsFuture::from(playing).await);
                    });
                }
            }
            Err(image) => {
                let image: Element = image.unchecked_into();
                if let Some(url) = image.get_attribute("src") {
                    let _ = image.set_attribute("src", &url);
                }
            }
        }
    }
}
